"""A hard memory limit for a container: by the kernel where it lets us, else by watching.

Try it:  python -c "from localaws.engine import memory; print(memory.limit('try', 64))"
Knows nothing of containers: it limits the processes that write themselves into its `folder`, or reports the
size of a process tree.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MIB = 1024 * 1024


@dataclass(frozen=True)
class KernelLimit:
    """A cgroup of our own (version 1 or 2) with a memory limit."""

    folder: Path

    def killed(self) -> bool:
        """Whether the kernel killed a process of the group for its memory."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                counts = dict(line.split() for line in (self.folder / name).read_text().splitlines())
                return int(counts.get("oom_kill", 0)) > 0
        return False

    def remove(self) -> None:
        """Remove the group; it must be empty."""
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def limit(name: str, memory_mib: int) -> KernelLimit | None:
    """A new cgroup with this limit, or None where the kernel or our rights don't allow one."""
    for parent in _parents():
        group = KernelLimit(parent / f"localaws-{name}")
        with contextlib.suppress(OSError):
            group.folder.mkdir()
            if _set(group.folder, str(memory_mib * MIB)):
                return group
        group.remove()
    return None


def _set(folder: Path, size_bytes: str) -> bool:
    """Write the limit into a new group; False if this hierarchy has no memory controller here."""
    for name, swap in (
        ("memory.max", "memory.swap.max"),
        ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    ):
        if (folder / name).exists():
            (folder / name).write_text(size_bytes)
            _no_swap(folder / swap, "0" if name == "memory.max" else size_bytes)
            return os.access(folder / "cgroup.procs", os.W_OK)
    return False


def _no_swap(file: Path, value: str) -> None:
    # Absent where the kernel does not account swap; then there is no second limit to set.
    if file.exists():
        file.write_text(value)


def _parents() -> list[Path]:
    """The cgroups of this process in which memory may be limited, version 1 first."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                found.append(CGROUPS / "memory" / path.lstrip("/"))
            elif number == "0":
                found.append(CGROUPS / path.lstrip("/"))
    return [folder for folder in found if folder.is_dir() and os.access(folder, os.W_OK)]


def tree_mib(pid: int) -> float:
    """Memory of a process and its descendants in MiB; pages that they share count once.

    The private part is what is resident less what is shared, summed; to it comes the largest shared part.
    """
    import psutil

    private = shared = 0
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            used = process.memory_info()
            common = getattr(used, "shared", 0)
            private += used.rss - common
            shared = max(shared, common)
    return (private + shared) / MIB

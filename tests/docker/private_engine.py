"""A Docker engine of a test's own, to stop and to kill: own socket, own data, own network. Not a test.

Its network is a namespace, so that neither its bridge nor its addresses meet those of the engine that this
machine has. `inside` takes the calling thread, and what it starts, into that network.
"""

import contextlib
import ctypes
import os
import platform
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from ecs_world import wait_until

from localaws.engine import dockerinterface

CLONE_NEWNET = 0x40000000
IMAGE = "localaws-test/waits:latest"
NEEDED = ("dockerd", "unshare", "nsenter", "ip")


class PrivateEngine:
    """dockerd in a network namespace that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep 600"]
        )
        self._namespace = f"/proc/{self._holder.pid}/ns/net"
        wait_until(lambda: Path(f"/proc/{self._holder.pid}/comm").read_text() == "sleep\n")

    def start(self) -> None:
        """Start it and return once it answers."""
        options = [
            "--data-root",
            "data",
            "--exec-root",
            "exec",
            "--pidfile",
            "pid",
            "--shutdown-timeout",
            "2",
        ]
        options = [
            word if word.startswith("--") or word == "2" else f"{self.folder}/{word}" for word in options
        ]
        with (self.folder / "dockerd.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net={self._namespace}", "dockerd", "--host", self.host, *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, 40)

    def _answers(self) -> bool:
        assert self.process and self.process.poll() is None, (self.folder / "dockerd.log").read_text()[-2000:]
        asked = subprocess.run(["docker", "--host", self.host, "version"], capture_output=True)
        return asked.returncode == 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it, politely or not."""
        assert self.process
        self.process.send_signal(number)
        self.process.wait(40)
        # A process that was killed may still have a number, and would count as running.
        for file in ("pid", "exec/containerd/containerd.pid"):
            (self.folder / file).unlink(missing_ok=True)

    def make_image(self, tag: str) -> None:
        """Give it an image that waits until it is stopped: a real one would take longer to bring here."""
        content = dockerinterface.archive(dockerinterface.program(platform.machine()))
        importing = ["docker", "--host", self.host, "import", "--change", 'ENTRYPOINT ["/hold"]', "-", tag]
        subprocess.run(importing, input=content, stdout=subprocess.DEVNULL, check=True)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Have this thread, and what it starts, in the engine's network."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        within = os.open(self._namespace, os.O_RDONLY)
        try:
            _enter(within)
            yield
        finally:
            _enter(before)
            os.close(within)
            os.close(before)

    def remove(self) -> None:
        """End everything, also what a killed engine left, and free the disk."""
        if self.process and self.process.poll() is None:
            self.stop()
        self._holder.kill()
        self._holder.wait()
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self.folder) in word for word in process.info["cmdline"] or []):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([each for each in mounts if each.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", mount], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def private_engine(folder: Path) -> Iterator[PrivateEngine]:
    """An engine with one image, IMAGE, gone afterwards; skips where none can be started."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"a Docker engine of the test's own needs root and {', '.join(NEEDED)}")
    made = PrivateEngine(folder)
    try:
        made.start()
        made.make_image(IMAGE)
        yield made
    finally:
        made.remove()

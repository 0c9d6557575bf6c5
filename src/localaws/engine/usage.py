"""What a process and all that it started have used: processor time and memory.

Try it:  python -c "import os; from localaws.engine import usage; print(usage.of_tree(os.getpid()))"
Knows process ids and nothing of containers.
"""

import contextlib
from dataclasses import dataclass

from localaws.engine.memory import tree_mib


@dataclass(frozen=True)
class Usage:
    """Processor time since the start, in seconds of one core, and memory now, in MiB."""

    cpu_seconds: float
    memory_mib: float


def of_tree(pid: int) -> Usage | None:
    """Usage of a process and its descendants; None if it is gone.

    A process's own time includes that of children which have ended, so nothing is lost when one does.
    """
    import psutil

    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.Error:
        return None
    seconds = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
            seconds += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return Usage(seconds, tree_mib(pid))

"""What we start ends with us, and with all that it started."""

import subprocess
import sys
import time

import psutil

from workshop import children

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def gone(pid, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def first_line(path):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text().split()
        time.sleep(0.02)
    raise AssertionError("nothing was written")


def test_a_program_ends_with_what_it_started(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        process = children.start([sys.executable, "-c", FAMILY], {"PATH": "/usr/bin"}, log, tmp_path)
    [grandchild] = map(int, first_line(tmp_path / "log"))
    children.end(process)
    assert process.returncode == -15
    assert gone(grandchild)


def test_a_program_that_does_not_listen_is_ended_all_the_same(tmp_path):
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    with (tmp_path / "log").open("wb") as log:
        process = children.start([sys.executable, "-c", deaf], {"PATH": "/usr/bin"}, log, tmp_path)
    first_line(tmp_path / "log")
    children.end(process, seconds=0.1)
    assert process.returncode == -9


def test_a_program_ends_when_its_parent_is_killed(tmp_path):
    parent = f"""
import sys, time
from pathlib import Path
from workshop import children
with open({str(tmp_path / "log")!r}, "wb") as log:
    child = children.start([sys.executable, "-c", "import time; time.sleep(60)"], {{}}, log, Path({str(tmp_path)!r}))
print(child.pid, flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    assert psutil.pid_exists(child)
    process.kill()
    process.communicate()
    assert gone(child)

"""One run at a time; the second says who has the place; kill -9 leaves it free."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workshop import place
from workshop.errors import BusyError

HOLD = """
import sys, time
from pathlib import Path
from workshop import place
with place.hold(Path(sys.argv[1]), "workshop run 1-4"):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_second_run_is_told_who_holds_the_place_and_kill_leaves_it_free(tmp_path):
    path = tmp_path / "place.lock"
    process = holder(path)
    try:
        with pytest.raises(BusyError) as busy, place.hold(path):
            pytest.fail("two runs at once")
        assert f"process {process.pid}" in str(busy.value)
        assert "`workshop run 1-4`, since " in str(busy.value)
        assert place.holder(path)["pid"] == process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with place.hold(path):
        pass


def test_a_free_place_has_no_holder(tmp_path):
    path = tmp_path / "place.lock"
    assert place.holder(path) is None
    with place.hold(path):
        pass
    assert place.holder(path) is None


def test_an_error_frees_the_place(tmp_path):
    with pytest.raises(ZeroDivisionError), place.hold(tmp_path / "place.lock"):
        raise ZeroDivisionError
    with place.hold(tmp_path / "place.lock"):
        pass


def test_children_do_not_inherit_the_lock(tmp_path):
    path = tmp_path / "place.lock"
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    with place.hold(path):
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
        child.stdout.readline()
    try:
        with place.hold(path):
            pass
    finally:
        child.communicate(b"\n")


def test_a_lock_file_without_text_still_refuses(tmp_path):
    path = tmp_path / "place.lock"
    with place.hold(path):
        os.truncate(path, 0)
        with pytest.raises(BusyError, match="unknown"), place.hold(path):
            pytest.fail("two runs at once")

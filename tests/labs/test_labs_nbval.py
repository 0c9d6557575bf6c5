"""nbval runs every lab, in order, and compares what its cells show with the outputs that are kept in it.

In the place that test_make_workshop.py has used, if that ran before: a lab shows the same the second time.
Alone (`pytest tests/labs/test_labs_nbval.py`) it finds a fresh place.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from attendee import ROOT, Attendee
from nbval.plugin import get_sanitize_patterns

from workshop import kernels

HERE = Path(__file__).parent
SANITIZE = HERE / "sanitize.cfg"
LABS = sorted((ROOT / "labs").glob("*.ipynb"))
CELL_SECONDS = 900


@pytest.fixture(scope="module")
def jupyter_path(course: Attendee) -> Path:
    """Where Jupyter finds the kernels that the notebooks name."""
    return kernels.install(course.root, course.state)


@pytest.mark.parametrize("name", [path.name for path in LABS])
def test_lab_shows_the_outputs_that_are_kept_in_it(course: Attendee, jupyter_path: Path, name: str) -> None:
    up = course.run("up")
    assert up.returncode == 0, up.stderr
    there = set(course.processes())
    ended = nbval(course, jupyter_path, course.root / "labs" / name)
    assert ended.returncode == 0, ended.stdout[-12000:] + ended.stderr[-2000:]
    assert "skipped" not in ended.stdout and "xfailed" not in ended.stdout
    _, alive = psutil.wait_procs(set(course.processes()) - there, 10)
    assert [line for line in map(command_line, alive) if "ipykernel" in line] == []


def test_differing_output_is_noticed(course: Attendee, jupyter_path: Path, tmp_path: Path) -> None:
    canonical = notebook(tmp_path, kept="3 stacks\n")
    same, other = canonical('print("3 stacks")'), canonical('print("4 stacks")')
    assert nbval(course, jupyter_path, same).returncode == 0
    ended = nbval(course, jupyter_path, other)
    assert ended.returncode == 1 and "Cell outputs differ" in ended.stdout


def test_sanitizing_hides_what_varies_and_nothing_else() -> None:
    same = [
        ("http://127.0.0.1:33601/lab", "http://127.0.0.1:4566/lab"),
        ("sha256:0123456789abcdef", "sha256:fedcba9876543210"),
        ("20261120-095244-train-images-mxnet-1a2b", "20261121-120000-train-images-mxnet-ffff"),
        ("RUNNING 09:58:46", "RUNNING 10:01:02"),
        ("subnet-0a1b2c3d4e5f60718", "subnet-11112222333344445"),
        ("task 0123456789abcdef0123456789abcdef", "task fedcba9876543210fedcba9876543210"),
        ("task jobs-mxnet 8cc6af31 stopped", "task jobs-mxnet 12345678 stopped"),
        ("in 0.4 s", "in 12 s"),
        ("/one/place/labs/x", "/other/labs/x"),
    ]
    differing = [
        ("CREATE_COMPLETE", "CREATE_FAILED"),
        ("10.0.0.0/24", "10.0.1.0/24"),
        ("exit code 0", "exit code 1"),
        ("CPU units 2048, memory 7680 MiB", "CPU units 4096, memory 7680 MiB"),
        ("i-0a1b2c3d4e5f60718", "sg-0a1b2c3d4e5f60718"),
        ("2 stacks", "3 stacks"),
        ("MXNet 1.9.1", "MXNet 1.9.0"),
        ("RESOURCE:GPU", "RESOURCE:CPU"),
    ]
    assert [pair for pair in same if sanitized(pair[0]) != sanitized(pair[1])] == []
    assert [pair for pair in differing if sanitized(pair[0]) == sanitized(pair[1])] == []


def nbval(course: Attendee, jupyter_path: Path, path: Path) -> "subprocess.CompletedProcess[str]":
    """Run one notebook with its outputs compared, as the attendee, without their own Jupyter folders."""
    folder = course.state / "nbval"
    folder.mkdir(exist_ok=True)
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    private = {name: str(folder / name.lower()) for name in names}
    options = f"-q --color=no --tb=short -p nbval_course -p no:cacheprovider -c {os.devnull} --nbval"
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *options.split(), f"--rootdir={path.parent}"),
            *(f"--nbval-sanitize-with={SANITIZE}", f"--nbval-cell-timeout={CELL_SECONDS}", path),
        ],
        cwd=path.parent,
        env=course.variables | private | {"JUPYTER_PATH": str(jupyter_path), "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
    )


def notebook(folder: Path, kept: str) -> Callable[[str], Path]:
    """Make canonical notebooks of one cell that keeps this output, whatever it does."""

    def write(source: str) -> Path:
        cell = {
            "cell_type": "code",
            "execution_count": None,
            "id": "one",
            "metadata": {},
            "source": source,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": kept}],
        }
        kernel = {"name": "workshop", "display_name": "", "language": "python"}
        content = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        path = folder / f"of-{len(list(folder.iterdir()))}.ipynb"
        path.write_text(json.dumps(content))
        return path

    return write


def command_line(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def sanitized(text: str) -> str:
    for pattern, replacement in get_sanitize_patterns(SANITIZE.read_text()):
        text = re.sub(pattern, replacement, text)
    return text

"""The course's images: how large, how long a build after a change of the code, how long a push, what it costs.

Try it:  python -m benchmarks.images          (needs Docker; the first build takes minutes)
In a copy of the course, with a local AWS of its own. `against` is what was promised, or the other way to do it: a
push to a registry that has nothing, beside one that has all but the code.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    "cloudformation",
    "data",
    "docker",
    "functions",
    "labs",
    "notebooks",
    "requirements",
    "src",
    "task-definitions",
)
LARGEST_MB = {"mxnet": 1000, "tensorflow": 2100}
REBUILD_SECONDS = 5
REBUILDS = 3


def measure() -> list[dict[str, Any]]:
    """Rows of name, value, unit, against and ratio."""
    with tempfile.TemporaryDirectory() as folder:
        course = Course(Path(folder))
        try:
            course.run("prepare", "2")
            return [row for image in LARGEST_MB for row in _image(course, image)]
        finally:
            course.run("clean", "--all")
            course.run("down")


class Course:
    """A copy of the course, and its command."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "course", folder / "state"
        self.root.mkdir()
        for name in COPIED:
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", ".dockerignore"):
            shutil.copy(ROOT / name, self.root / name)
        (self.root / ".venvs").symlink_to(ROOT / ".venvs")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.variables = {
            **os.environ,
            "WORKSHOP_ROOT": str(self.root),
            "WORKSHOP_STATE_DIR": str(self.state),
            "WORKSHOP_RUNS_DIR": str(folder / "runs"),
            "WORKSHOP_PORT": str(port),
            "WORKSHOP_ENGINE": "docker",
        }

    def run(self, *words: str) -> str:
        command = [Path(sys.executable).with_name("workshop"), *words]
        ended = subprocess.run(command, env=self.variables, capture_output=True, text=True)
        if ended.returncode:
            raise RuntimeError(f"workshop {' '.join(words)}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def images(self, *words: str) -> dict[str, Any]:
        """What `build` or `push` tells of one image."""
        return dict(json.loads(self.run(*words, "--json"))[0])

    def change_the_code(self, mark: int) -> None:
        module = self.root / "src" / "workshop" / "health.py"
        module.write_text(f"{module.read_text()}# {mark}\n")

    def server_peak_mb(self) -> float:
        pid = json.loads((self.state / "localaws.json").read_text())["pid"]
        [line] = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in each]
        return int(line.split()[1]) * 1024 / 1e6  # the kernel says kB and means KiB

    def server_mb(self) -> float:
        pid = json.loads((self.state / "localaws.json").read_text())["pid"]
        return float(psutil.Process(pid).memory_info().rss) / 1e6


def _image(course: Course, image: str) -> list[dict[str, Any]]:
    size_mb = course.images("build", image)["size_bytes"] / 1e6
    rebuilds = []
    for mark in range(REBUILDS):
        course.change_the_code(mark)
        rebuilds.append(course.images("build", image)["seconds"])
    before_mb = course.server_mb()
    first = course.images("push", image)["seconds"]
    added_mb = course.server_peak_mb() - before_mb
    course.change_the_code(REBUILDS)
    course.images("build", image)
    again = course.images("push", image)["seconds"]
    limit_mb, rebuild = LARGEST_MB[image], min(rebuilds)
    return [
        _row(f"{image}: size", size_mb, "MB", f"allowed {limit_mb}", limit_mb / size_mb),
        _row(f"{image}: build after a change", rebuild, "s", f"allowed {REBUILD_SECONDS}", REBUILD_SECONDS / rebuild),
        _row(f"{image}: push after a change", again, "s", f"push of all {first:.1f}", first / again),
        _row(f"{image}: memory of a push", added_mb, "MB", f"image {size_mb:.0f}", size_mb / max(added_mb, 1)),
    ]  # fmt: skip


def _row(name: str, value: float, unit: str, against: str, ratio: float) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "against": against, "ratio": ratio}


if __name__ == "__main__":
    for row in measure():
        print(json.dumps(row))

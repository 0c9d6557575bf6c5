"""Two workers learn together for real, in both frameworks: processes of this machine, told of each other as on ECS."""

import importlib.util
import json
import shutil
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMBER = Path(__file__).with_name("group_member.py")
ENVIRONMENTS = {"mxnet": "mxnet", "keras": "workshop"}
LIMIT_SECONDS = 120.0


def _launcher():
    spec = importlib.util.spec_from_file_location("group_training", ROOT / "benchmarks" / "group_training.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


launcher = _launcher()


class Started:
    """A group of processes that learns in a folder of its own."""

    def __init__(self, framework: str, workers: int, folder: Path, *arguments: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.workers, self.log = folder, workers, folder / "log"
        command = [str(MEMBER), framework, str(folder), *arguments]
        self.members = launcher.start(framework, workers, command, self.log)

    def finish(self) -> list[int]:
        """The workers' exit statuses; the servers of a group that has failed are ended."""
        try:
            return launcher.finish(self.members[: self.workers], LIMIT_SECONDS)
        finally:
            if any(one.returncode for one in self.members[: self.workers]):
                for one in self.members:
                    one.kill()
            launcher.finish(self.members, LIMIT_SECONDS)

    def result(self) -> dict:
        assert self.finish() == [0] * self.workers, self.said
        return json.loads((self.folder / "history.json").read_text())

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")[-8000:]

    def hashes(self, rank: int) -> list[str]:
        path = self.folder / "workers" / f"{rank}.jsonl"
        return [json.loads(line)["weights_sha256"] for line in path.read_text().splitlines()]


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def runs(request, tmp_path_factory):
    """What one framework does: whole, cut off in its third epoch, then resumed by two workers and by one."""
    framework, place = request.param, tmp_path_factory.mktemp(request.param)
    if not (ROOT / ".venvs" / ENVIRONMENTS[framework]).exists():
        pytest.skip(f"the environment {ENVIRONMENTS[framework]!r} is not made (make setup)")
    made = {
        "whole": Started(framework, 2, place / "whole"),
        "cut": Started(framework, 2, place / "cut", "3"),
    }
    made["statuses"] = made["cut"].finish()
    made["left"] = made["cut"].said
    for workers, name in ((2, "resumed"), (1, "alone")):
        shutil.copytree(place / "cut" / "checkpoints", place / name / "checkpoints")
        made[name] = Started(framework, workers, place / name)
    made["figures"] = {name: made[name].result() for name in ("whole", "resumed", "alone")}
    return made


def test_two_workers_end_every_epoch_with_equal_weights_and_the_artefact_has_them(runs):
    first, second = (runs["whole"].hashes(rank) for rank in range(2))
    assert len(first) == 4 and len(set(first)) == 4
    assert first == second
    assert runs["figures"]["whole"]["artefact_sha256"] == first[-1]


def test_worker_that_is_left_alone_ends_with_the_reason_and_a_remedy(runs):
    assert runs["statuses"] == [1, -signal.SIGKILL]
    assert "DataError: error: " in runs["left"] and "the other workers (1)" in runs["left"]
    assert "fix: start the job again with --resume" in runs["left"]


def test_group_that_was_cut_off_resumes_to_the_figures_of_an_uncut_one(runs):
    assert len(runs["cut"].hashes(0)) == 2
    assert len(runs["resumed"].hashes(0)) == 2  # it learns the last two epochs, not all four again
    assert figures_of(runs, "resumed") == pytest.approx(figures_of(runs, "whole"), abs=1e-4)


def test_one_worker_goes_on_where_two_were_cut_off_and_learns_alike(runs):
    # Not to the same figures: it normalises whole batches, where each of two has half of one to go by.
    assert figures_of(runs, "alone")[:2] == pytest.approx(figures_of(runs, "whole")[:2], abs=1e-4)
    assert figures_of(runs, "alone")[2:] == pytest.approx(figures_of(runs, "whole")[2:], abs=0.1)


def figures_of(runs, name: str) -> list[float]:
    return [epoch["loss"] for epoch in runs["figures"][name]["epochs"]]

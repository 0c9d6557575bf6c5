"""The training loop with a learner of two numbers: what is saved, resumed, refused and reported."""

import itertools
import json
import math

import numpy as np
import pytest

from workshop.errors import DataError, SettingsError
from workshop.ml import profiles, saved_state, training
from workshop.ml.pictures import Pictures


class CountingLearner:
    """Adds up what it sees, so that any lost or repeated batch changes its weight."""

    framework = "counting"

    def __init__(self, architecture, weight_decay, losses=None):
        self.network = self
        self.total = self.momentum = 0.0
        self.losses = losses

    def learn(self, images, targets, learning_rate):
        self.momentum = 0.9 * self.momentum + float(images.sum(dtype=np.float64)) * learning_rate
        self.total += self.momentum
        return (next(self.losses) if self.losses else abs(math.sin(self.total))), 0.5

    def logits(self, images):
        return np.tile([self.total, 0.0], (len(images), 1))

    def weights(self):
        return {"total": np.array(self.total)}

    def set_weights(self, weights):
        self.total = float(weights.get("total", 0.0))

    def optimiser_state(self):
        return {"momentum": np.array(self.momentum)}

    def set_optimiser_state(self, state):
        self.momentum = float(state["momentum"])


@pytest.fixture
def data():
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    return Pictures(images, np.arange(20) % 2, ["cat", "dog"])


def plan(data, **changes) -> training.Plan:
    values = {
        "num_epochs": 4,
        "batch_size": 5,
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "seed": 3,
        "width": 2,
    }
    return training.Plan(**{**values, "data": data.fingerprint(), **changes})


def fit(data, save_dir=None, resume=False, on_epoch=None, learner=CountingLearner, **changes):
    return training.fit(
        learner,
        data,
        data,
        plan(data, **changes),
        save_dir,
        resume,
        on_epoch,
        None,
        clock=iter(range(999)).__next__,
    )


def figures_of(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history.epochs]


def test_stopped_run_goes_on_to_the_figures_of_an_unstopped_one(data, tmp_path):
    whole = fit(data)

    def stop_after_two(epoch, metrics):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(data, tmp_path, on_epoch=stop_after_two)
    seen = []
    resumed = fit(data, tmp_path, resume=True, on_epoch=lambda epoch, metrics: seen.append(epoch))
    assert seen == [3, 4]
    assert figures_of(resumed) == figures_of(whole)
    assert resumed.network.total == whole.network.total


def test_finished_run_resumes_to_its_result_without_training(data, tmp_path):
    first = fit(data, tmp_path)
    seen = []
    again = fit(data, tmp_path, resume=True, on_epoch=lambda epoch, metrics: seen.append(epoch))
    assert seen == [] and again.epochs == first.epochs and again.network.total == first.network.total


def test_resume_without_a_saved_state_starts_at_the_first_epoch(data, tmp_path):
    assert figures_of(fit(data, tmp_path, resume=True)) == figures_of(fit(data))


def test_state_is_there_when_an_epoch_is_reported(data, tmp_path):
    def check(epoch, metrics):
        assert len(saved_state.read(tmp_path).header["epochs"]) == epoch

    fit(data, tmp_path, on_epoch=check)


def test_resume_under_another_plan_is_refused_with_every_difference(data, tmp_path):
    fit(data, tmp_path)
    with pytest.raises(DataError, match=r"num_epochs was 4, now 9; seed was 3, now 4"):
        fit(data, tmp_path, resume=True, num_epochs=9, seed=4)


def test_damaged_state_is_refused_with_a_remedy(data, tmp_path):
    fit(data, tmp_path)
    path = tmp_path / saved_state.FILE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a readable npz") as refusal:
        fit(data, tmp_path, resume=True)
    assert "remove it" in refusal.value.remedy


def test_state_with_a_pickle_inside_is_refused(data, tmp_path):
    np.savez(tmp_path / saved_state.FILE, header=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(DataError, match="not a readable npz"):
        fit(data, tmp_path, resume=True)


def test_failed_write_keeps_the_state_before_it(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    saved_state.write_npz(path, {"a": np.ones(3)})

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(DataError, match="No space left"):
        saved_state.write_npz(path, {"a": np.zeros(3)})
    assert saved_state.read_npz(path)["a"].sum() == 3
    assert list(tmp_path.iterdir()) == [path]


def test_diverging_training_stops_with_a_remedy(data):
    with pytest.raises(DataError, match=r"loss became nan in epoch 1, batch 2") as refusal:
        fit(data, learner=lambda *given: CountingLearner(*given, losses=iter([1.0, math.nan])))
    assert "learning rate below 0.1" in refusal.value.remedy


def test_too_few_pictures_for_one_batch_are_refused(data):
    with pytest.raises(DataError, match="20 training pictures don't fill one batch of 21"):
        fit(data, batch_size=21)


@pytest.mark.parametrize("change", [{"num_epochs": 0}, {"learning_rate": 0.0}, {"batch_size": 0}])
def test_plans_that_can_not_train_are_refused(data, change):
    with pytest.raises(DataError, match="can't train"):
        fit(data, **change)


def test_learning_rate_climbs_to_its_peak_and_falls_to_zero():
    rates = [training.learning_rate_at(step, 100, 0.4) for step in range(100)]
    assert max(rates) == rates[20] == 0.4 and rates[0] == pytest.approx(0.02) and rates[-1] < 0.001
    assert all(a < b for a, b in itertools.pairwise(rates[:20]))
    assert all(a > b for a, b in itertools.pairwise(rates[20:]))


def test_smoothed_targets_sum_to_one_and_keep_the_label_first():
    targets = training.smooth_targets(np.array([2, 0]), 4)
    assert targets.dtype == np.float32 and np.allclose(targets.sum(axis=1), 1)
    assert targets.argmax(axis=1).tolist() == [2, 0] and targets[0, 1] == pytest.approx(0.025)


def test_progress_line_reads_as_the_log_shows_it():
    metrics = {"loss": 1.312, "accuracy": 0.519, "validation_accuracy": 0.5, "seconds": 11.2}
    assert training.progress_line(2, 6, metrics) == "epoch 2/6 loss 1.31 accuracy 0.52 val 0.50 11 s"


def test_every_batch_is_reported_to_a_progress_bar(data):
    seen = []
    training.fit(
        CountingLearner,
        data,
        None,
        plan(data, num_epochs=2),
        None,
        False,
        None,
        lambda *given: seen.append(given),
    )
    assert seen == [(epoch, batch, 4) for epoch in (1, 2) for batch in (1, 2, 3, 4)]


def test_metrics_are_plain_json(data):
    assert json.loads(json.dumps(fit(data).epochs))


def test_unknown_profile_is_refused_with_the_known_ones():
    assert profiles.profile("quick").num_epochs < profiles.profile("full").num_epochs
    with pytest.raises(SettingsError, match="no profile 'slow'") as refusal:
        profiles.profile("slow")
    assert "quick, full" in refusal.value.remedy

"""Learning in a group, with workers that are threads and add up numbers in memory: who does what, and when not."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from workshop.errors import DataError, SettingsError
from workshop.ml import augmentation, exchange, saved_state, training
from workshop.ml.group import ALONE, Group, group_metrics, weights_sha256
from workshop.ml.pictures import Pictures

PATIENCE_SECONDS = 20.0


class Table:
    """Where the workers of one group lay down their numbers."""

    def __init__(self, size: int) -> None:
        self.rows: dict[int, np.ndarray] = {}
        self.barrier = threading.Barrier(size, timeout=PATIENCE_SECONDS)


class InMemory(exchange.Exchange):
    def __init__(self, group: Group, table: Table) -> None:
        super().__init__(group)
        self.table = table

    def sum(self, values):
        self.table.rows[self.group.rank] = values
        self.table.barrier.wait()
        total = np.sum([self.table.rows[rank] for rank in range(self.group.size)], axis=0, dtype=np.float32)
        self.table.barrier.wait()  # nobody lays down the next numbers while these are read
        return total


class Averager:
    """A network of one weight and one running mean; it steps by the group's mean picture."""

    framework = "averaging"

    def __init__(self, line: exchange.Exchange, drift: float = 0.0) -> None:
        self.network, self.line, self.drift = self, line, drift
        self.weight = self.momentum = self.running = np.zeros(1, np.float32)

    def learn(self, images, targets, learning_rate):
        mine = np.array([images.sum(dtype=np.float64), len(images)], np.float32)
        total, count = self.line.sum(mine)
        self.momentum = np.float32(0.9) * self.momentum + total / count
        self.weight = self.weight + np.float32(learning_rate) * self.momentum + np.float32(self.drift)
        self.running = mine[:1]  # as batch normalisation: of this worker's own pictures
        return abs(float(total / count)), 0.5

    def logits(self, images):
        return np.tile([float(self.weight[0]), 0.0], (len(images), 1))

    def weights(self):
        return {"head/kernel": self.weight, "stem/mean": self.running}

    def set_weights(self, weights):
        # First weights are those of our real network; of them this one takes the first numbers.
        self.weight = weights["head/kernel"].ravel()[:1]
        self.running = weights["stem/mean"][:1]

    def optimiser_state(self):
        return {"momentum": self.momentum}

    def set_optimiser_state(self, state):
        self.momentum = state["momentum"]


@pytest.fixture
def data():
    images = np.random.default_rng(0).integers(0, 256, (21, 16, 16, 3), dtype=np.uint8)
    return Pictures(images, np.arange(21) % 2, ["cat", "dog"])


def fit(data, place, group=ALONE, table=None, resume=False, drift=0.0, **changes):
    settings = {"num_epochs": 3, "batch_size": 6, "learning_rate": 0.1, "weight_decay": 0.0, "seed": 3}
    plan = training.Plan(**{**settings, "width": 1, "data": data.fingerprint(), **changes})
    line = exchange.Exchange() if table is None else InMemory(group, table)

    def make(architecture, weight_decay):
        return Averager(line, drift)

    return training.fit(
        make, data, data, plan, place / "checkpoints", resume, None, None, iter(range(99)).__next__, line
    )


def together(size, work):
    """Call work(group, table) in one thread a worker; returns each one's answer or error."""
    table = Table(size)

    def attempt(rank):
        try:
            return work(Group(rank, size), table)
        except DataError as error:
            return error

    with ThreadPoolExecutor(size) as workers:
        return list(workers.map(attempt, range(size)))


def noted(place, rank):
    return [json.loads(line) for line in (place / "workers" / f"{rank}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("count", "size"), [(64, 1), (64, 2), (64, 3), (7, 7), (65, 8)])
def test_shares_cover_a_batch_once_and_differ_by_one_picture_at_most(count, size):
    parts = [list(range(count))[Group(rank, size).share(count)] for rank in range(size)]
    assert [picture for part in parts for picture in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("size", [1, 2, 3])
def test_workers_together_see_the_pictures_that_one_worker_sees(data, size):
    arguments = data.images, data.labels, 6, 5, 2
    whole = list(augmentation.batches(*arguments))
    parts = [list(augmentation.batches(*arguments, Group(rank, size))) for rank in range(size)]
    assert {len(batches) for batches in parts} == {len(whole)} == {3}
    for step, (images, labels) in enumerate(whole):
        assert np.array_equal(np.concatenate([part[step][0] for part in parts]), images)
        assert np.array_equal(np.concatenate([part[step][1] for part in parts]), labels)


def test_environment_without_a_group_means_alone():
    assert Group.from_environment({}) == Group.from_environment({"WORKSHOP_WORKERS": "1"}) == ALONE
    assert ALONE.leads and ALONE.is_alone and ALONE.heading == ""


def test_environment_names_the_workers_place():
    group = Group.from_environment({"WORKSHOP_WORKERS": "2", "WORKSHOP_RANK": "1"})
    assert group == Group(1, 2) and not group.leads and group.heading == "worker 1 of 2: "


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"WORKSHOP_WORKERS": "two"}, "WORKSHOP_WORKERS is 'two'"),
        ({"WORKSHOP_WORKERS": "2"}, "WORKSHOP_RANK is ''"),
        ({"WORKSHOP_WORKERS": "2", "WORKSHOP_RANK": "2"}, "worker 2 of 2 does not exist"),
        ({"WORKSHOP_WORKERS": "0", "WORKSHOP_RANK": "0"}, "worker 0 of 0 does not exist"),
    ],
)
def test_wrong_variables_are_refused_by_name(environ, message):
    with pytest.raises(SettingsError, match=message):
        Group.from_environment(environ)


def test_hash_tells_any_bit_name_or_shape_apart():
    first = {"a": np.zeros((2, 3), np.float32), "b": np.ones(2, np.float32)}
    assert weights_sha256(first) == weights_sha256(dict(reversed(first.items())))
    nearly = np.nextafter(first["a"], np.float32(1))
    for other in ({**first, "a": nearly}, {**first, "a": first["a"].T}, {"a": first["a"], "c": first["b"]}):
        assert weights_sha256(other) != weights_sha256(first)


@pytest.mark.parametrize("size", [2, 3])
def test_group_ends_each_epoch_with_equal_weights_and_those_of_one_worker(data, tmp_path, size):
    alone = fit(data, tmp_path / "alone")
    histories = together(size, lambda group, table: fit(data, tmp_path, group, table))
    rows = [noted(tmp_path, rank) for rank in range(size)]
    assert [row["epoch"] for row in rows[0]] == [1, 2, 3]
    for of_epoch in zip(*rows, strict=True):
        assert len({row["weights_sha256"] for row in of_epoch}) == 1
    for history in histories:
        assert history.network.weight == pytest.approx(alone.network.weight, rel=1e-4)
        assert history.network.running == histories[0].network.running


def test_worker_0_alone_scores_and_saves(data, tmp_path):
    def apart(group, table):
        return fit(data, tmp_path / str(group.rank), group, table)

    first, second = together(2, apart)
    assert "validation_accuracy" in first.last and "validation_accuracy" not in second.last
    assert saved_state.read(tmp_path / "0" / "checkpoints") is not None
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["workers"]


def test_worker_alone_notes_no_epochs(data, tmp_path):
    fit(data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 1), (1, 3)])
def test_cut_off_run_goes_on_with_any_number_of_workers(data, tmp_path, monkeypatch, before, after):
    def run(group, table, resume=False):
        # Each has a folder of its own, as tasks have: only worker 0 finds the saved state.
        return fit(data, tmp_path / str(group.rank), group, table, resume)

    whole, write = fit(data, tmp_path / "whole"), saved_state.write

    def write_two_epochs(folder, state):  # what a run leaves behind that is killed in its third
        if len(state.header["epochs"]) <= 2:
            write(folder, state)

    with monkeypatch.context() as patch:
        patch.setattr(saved_state, "write", write_two_epochs)
        together(before, run)
    for history in together(after, lambda group, table: run(group, table, resume=True)):
        assert len(history.epochs) == 3
        assert history.network.weight == pytest.approx(whole.network.weight, rel=1e-4)


def test_weights_that_drift_apart_stop_every_worker_after_the_first_epoch(data, tmp_path):
    errors = together(2, lambda group, table: fit(data, tmp_path, group, table, drift=group.rank * 1e-3))
    for error in errors:
        assert isinstance(error, DataError) and "after epoch 1 the workers' weights" in error.message
        assert "worker 0 " in error.message and "worker 1 " in error.message
    assert str(errors[0]) == str(errors[1])


def test_workers_with_other_settings_are_refused_before_they_learn(data, tmp_path):
    errors = together(2, lambda group, table: fit(data, tmp_path, group, table, seed=group.rank))
    assert [type(error) for error in errors] == [DataError, DataError]
    assert "same pictures and settings" in errors[0].message
    assert not (tmp_path / "workers").exists()


def test_damaged_state_stops_every_worker_with_the_same_remedy(data, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / saved_state.FILE).write_bytes(b"half a file")
    errors = together(2, lambda group, table: fit(data, tmp_path, group, table, resume=True))
    assert [type(error) for error in errors] == [DataError, DataError]
    assert str(errors[0]) == str(errors[1]) and "remove it" in errors[0].remedy


def test_more_workers_than_pictures_in_a_batch_are_refused(data, tmp_path):
    with pytest.raises(DataError, match="a batch of 6 pictures can't be shared by 7 workers"):
        fit(data, tmp_path, Group(0, 7), Table(7))


@pytest.mark.parametrize("content", [b"", b"\x00", bytes(range(256)) * 5])
def test_bytes_of_worker_0_reach_every_worker_unchanged(content):
    def send(group, table):
        return InMemory(group, table).broadcast(content if group.leads else b"something else")

    assert together(3, send) == [content] * 3


def test_waiting_ends_with_the_reason_when_the_time_is_over():
    never = threading.Event()
    with pytest.raises(DataError, match="waited 0 s in vain for somebody") as refusal:
        exchange.within(0.01, never.wait, "somebody")
    assert "--resume" in refusal.value.remedy
    never.set()


def test_waiting_gives_the_answer_or_the_error_of_what_was_waited_for():
    assert exchange.within(PATIENCE_SECONDS, lambda: 7, "seven") == 7
    with pytest.raises(ZeroDivisionError):
        exchange.within(PATIENCE_SECONDS, lambda: 1 / 0, "nothing")


def test_metrics_of_a_group_tell_workers_and_speed_and_those_of_one_worker_stay_as_they_were():
    epochs = [{"seconds": 2.0}, {"seconds": 3.0}]
    assert group_metrics(Group(0, 2), epochs, 100) == {"num_workers": 2, "images_per_second": 40.0}
    assert group_metrics(ALONE, epochs, 100) == {}

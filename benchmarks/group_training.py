"""What two workers learn together, and how fast: against one worker with the same batches.

Try it:  python -m benchmarks group_training       (real CIFAR-10 where WORKSHOP_DATA_DIR has it)
or one:  .venvs/mxnet/bin/python benchmarks/group_training.py --framework mxnet --workers 2 --epochs 2
The workers are processes of this machine, started with the variables that a task of a group gets. With as many
workers as processors the speed-up says what sharing costs here, not what more machines bring.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from workshop import datasets
from workshop.ml import metrics, pictures, profiles, training
from workshop.ml.group import LINES, Group
from workshop.ml.network import Framework, gluon, keras
from workshop.settings import load

FRAMEWORKS = {"keras": keras, "mxnet": gluon}
ENVIRONMENTS = {"keras": "workshop", "mxnet": "mxnet"}
SEEDS = (10, 11, 12)
NUM_EPOCHS = 3
LOOPBACK = "127.0.0.1"
PORTS = (20_000, 32_000)
LIMIT_SECONDS = 900.0
ACCURACY_MARGIN = 0.01


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now.

    They lie below those that a system gives to outgoing connections: TensorFlow takes 10 s to load before it
    listens, and on a busy machine one of those would be gone by then.
    """
    held: list[socket.socket] = []
    while len(held) < count:
        try:
            held.append(socket.create_server((LOOPBACK, random.randrange(*PORTS))))
        except OSError:
            continue  # somebody has it
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def worker_environments(
    framework: str, num_workers: int
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """What the members of a group on this machine are told: one mapping a worker, one a parameter server."""
    ranks = [
        {"WORKSHOP_WORKERS": str(num_workers), "WORKSHOP_RANK": str(rank)} for rank in range(num_workers)
    ]
    if num_workers == 1:
        return ranks, []
    if framework == "keras":
        cluster = {"worker": [f"{LOOPBACK}:{port}" for port in free_ports(num_workers)]}
        for rank, told in enumerate(ranks):
            told["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": rank}})
        return ranks, []
    shared = {
        "DMLC_PS_ROOT_URI": LOOPBACK,
        "DMLC_PS_ROOT_PORT": str(free_ports(1)[0]),
        "DMLC_NUM_SERVER": "1",
        "DMLC_NUM_WORKER": str(num_workers),
        "DMLC_NODE_HOST": LOOPBACK,
    }
    workers = [{**told, **shared, "DMLC_ROLE": "worker"} for told in ranks]
    return workers, [{**shared, "DMLC_ROLE": role} for role in ("scheduler", "server")]


def start(
    framework: str, num_workers: int, command: Sequence[str], log: Path
) -> list[subprocess.Popen[bytes]]:
    """Start a group of processes that run `command` in the framework's environment; workers come first."""
    python = load().root / ".venvs" / ENVIRONMENTS[framework] / "bin" / "python"
    workers, servers = worker_environments(framework, num_workers)
    members = [(told, [str(python), *command]) for told in workers]
    members += [(told, [str(python), "-c", "import mxnet"]) for told in servers]
    with log.open("ab") as file:
        return [
            subprocess.Popen(line, env={**os.environ, **told}, stdout=file, stderr=subprocess.STDOUT)
            for told, line in members
        ]


def finish(members: Sequence[subprocess.Popen[bytes]], seconds: float = LIMIT_SECONDS) -> list[int]:
    """Wait until all have ended; returns their exit statuses. What has not ended in time is killed."""
    deadline = time.monotonic() + seconds
    try:
        return [one.wait(max(0.1, deadline - time.monotonic())) for one in members]
    finally:
        for one in members:
            if one.poll() is None:
                one.kill()
                one.wait()


def learn(framework: Framework, num_epochs: int, seed: int, folder: Path) -> dict:
    """Train as one of the group that the environment names; worker 0 scores the network and returns that."""
    group, plan = Group.from_environment(), profiles.PROFILES["quick"]
    found = datasets.find("cifar10")
    train, test = datasets.pictures(found)
    train, held_out = pictures.split(pictures.at_most(train, plan.num_pictures), plan.held_out, seed)

    def tell(epoch: int, row: training.Metrics) -> None:
        print(group.heading + training.progress_line(epoch, num_epochs, row), flush=True)

    history = framework.train(
        train,
        held_out,
        num_epochs,
        plan.batch_size,
        plan.learning_rate,
        seed,
        save_dir=folder / "checkpoints",
        on_epoch=tell,
        width=plan.width,
        weight_decay=plan.weight_decay,
        group=group,
    )
    if not group.leads:
        return {}
    scores = metrics.summary(framework.predict(history.network, test.images), test.labels, test.classes)
    later = [row["seconds"] for row in history.epochs[1:] or history.epochs]  # the first one compiles
    return {
        "accuracy": scores["accuracy"],
        "images_per_second": len(train) / min(later),
        "is_sample": found.is_sample,
    }


def run(framework: str, num_workers: int, num_epochs: int, seed: int) -> dict:
    """Train with a group of processes; returns worker 0's scores and in how many epochs all weights were equal."""
    with tempfile.TemporaryDirectory() as place:
        folder, result = Path(place), Path(place) / "result.json"
        command = [__file__, "--framework", framework, "--epochs", str(num_epochs), "--seed", str(seed)]
        members = start(framework, num_workers, [*command, "--join", place], folder / "log")
        statuses = finish(members)
        print((folder / "log").read_text(errors="replace"), flush=True)
        if any(statuses) or not result.exists():
            raise SystemExit(f"{num_workers} workers of {framework} ended with {statuses}")
        return {**json.loads(result.read_text()), "equal": equal_epochs(folder, num_workers)}


def equal_epochs(folder: Path, num_workers: int) -> int:
    """Count the epochs after which every worker noted the same hash of its weights."""
    noted = []
    for path in sorted((folder / LINES).glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        noted.append({line["epoch"]: line["weights_sha256"] for line in lines})
    if len(noted) < num_workers or not noted:
        return 0
    return sum(len({row.get(epoch) for row in noted}) == 1 for epoch in noted[0])


def measure() -> list[dict]:
    """Both frameworks, one worker against two: accuracy over several seeds, equal weights, speed."""
    rows = []
    for framework in FRAMEWORKS:
        alone = [run(framework, 1, NUM_EPOCHS, seed) for seed in SEEDS]
        both = [run(framework, 2, NUM_EPOCHS, seed) for seed in SEEDS]
        one, two = (sum(row["accuracy"] for row in found) / len(SEEDS) for found in (alone, both))
        slow, fast = (max(row["images_per_second"] for row in found) for found in (alone, both))
        epochs, equal = NUM_EPOCHS * len(SEEDS), sum(row["equal"] for row in both)
        common = {"against": None, "ratio": None}
        rows += [
            {"name": f"{framework}, epochs that end with equal weights", "value": equal, "unit": "epochs"}
            | {"against": epochs, "ratio": equal / epochs},
            {"name": f"{framework}, accuracy of one worker", "value": one, "unit": "share", **common},
            {"name": f"{framework}, accuracy of two workers", "value": two, "unit": "share"}
            | {"against": one - ACCURACY_MARGIN, "ratio": two / (one - ACCURACY_MARGIN)},
            {"name": f"{framework}, one worker", "value": slow, "unit": "pictures/s", **common},
            {"name": f"{framework}, two workers", "value": fast, "unit": "pictures/s"}
            | {"against": slow, "ratio": fast / slow},
        ]
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--framework", choices=FRAMEWORKS, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=NUM_EPOCHS, help="passes over the pictures")
    parser.add_argument("--seed", type=int, default=SEEDS[0])
    parser.add_argument("--join", type=Path, help="be one worker; results go into this folder")
    given = parser.parse_args()
    if given.join:
        found = learn(FRAMEWORKS[given.framework], given.epochs, given.seed, given.join)
        if found:
            (given.join / "result.json").write_text(json.dumps(found))
        return 0
    print(json.dumps(run(given.framework, given.workers, given.epochs, given.seed), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

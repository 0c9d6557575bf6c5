"""A job that several workers do together and that needs no framework, for tests of what runs it. Not a test.

Each epoch every worker sends a number to every other one and waits for theirs, as an all-reduce does: one that
is alone waits for ever. Worker 0 saves each epoch, and a later run goes on from there.
"""

import json
from pathlib import Path

NAME = "add-together"
PARAMETERS = """\
num_epochs = 3  # rounds of adding
hold = ""  # a file; worker 1 waits in its second epoch while it exists
output = ""  # a folder or s3://bucket/runs/ID
"""
WORK = """\
import json, os, pathlib, socket, time
from workshop.aws import runs
run = runs.open(output)
rank, size = int(os.environ["WORKSHOP_RANK"]), int(os.environ["WORKSHOP_WORKERS"])
workers = [each.rsplit(":", 1) for each in json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"]]
assert "WORKSHOP_GROUP_TOKEN" not in os.environ
saved = run.folder / "state.json"
epochs = json.loads(saved.read_text()) if saved.exists() else []
run.publish()
listener = socket.create_server((workers[rank][0], int(workers[rank][1])))

def send(other, number):
    while True:
        try:
            with socket.create_connection((workers[other][0], int(workers[other][1]))) as line:
                return line.sendall(str(number).encode())
        except ConnectionRefusedError:
            time.sleep(0.05)

def add(number):
    for other in range(size):
        send(other, number)
    total = 0
    for other in range(size):
        with listener.accept()[0] as line:
            total += int(line.makefile().read())
    return total
"""
TRAIN = """\
for epoch in range(len(epochs) + 1, num_epochs + 1):
    while rank == 1 and epoch == 2 and hold and pathlib.Path(hold).exists():
        time.sleep(0.05)
    epochs.append(add(rank + 1))
    if rank == 0:
        saved.write_text(json.dumps(epochs))
        run.publish()
    print(f"epoch {epoch}/{num_epochs} sum {epochs[-1]}", flush=True)
    add(0)
if rank == 0:
    result = {"epochs": epochs, "size": size, "addresses": [host for host, _ in workers]}
    (run.folder / "metrics.json").write_text(json.dumps(result))
run.publish()
"""


def write(root: Path, environment: str = "workshop", family: str = "jobs-tensorflow") -> None:
    """Add the job to a course's notebooks; any environment can do it."""
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Add together"},
        _code("b", PARAMETERS, "parameters"),
        _code("c", WORK),
        _code("d", TRAIN),
    ]
    front = {"environment": environment, "family": family, "minutes": 0.1, "group": "all-reduce"}
    content = {"cells": cells, "metadata": {"workshop": front}, "nbformat": 4, "nbformat_minor": 5}
    (root / "notebooks" / f"{NAME}.ipynb").write_text(json.dumps(content))


def _code(identifier: str, source: str, *tags: str) -> dict:
    return {
        "cell_type": "code",
        "id": identifier,
        "execution_count": None,
        "metadata": {"tags": list(tags)},
        "outputs": [],
        "source": source,
    }

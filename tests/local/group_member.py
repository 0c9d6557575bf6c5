"""Be one worker of a group for test_learning_in_a_group.py, on drawings of a few kilobytes.

Try it:  .venvs/mxnet/bin/python tests/local/group_member.py mxnet FOLDER
Worker 0 writes FOLDER/history.json. With a number after the folder the last worker kills itself in that epoch.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from workshop.ml import pictures
from workshop.ml.group import Group, weights_sha256
from workshop.ml.network import gluon, keras

FRAMEWORKS = {"keras": keras, "mxnet": gluon}
# MXNet's worker waits as long for one that is gone, so it costs the test that time; TensorFlow's notices at once, but
# compiles its first step, and on a busy machine one may be done with that much sooner than the other.
PATIENCE_SECONDS = {"keras": 90.0, "mxnet": 15.0}


def drawings() -> tuple[pictures.Pictures, pictures.Pictures]:
    """Two classes that can be told apart: stripes that lie and stripes that stand, with noise."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 120, (128, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(128) % 2
    images[labels == 0, ::4] += 120
    images[labels == 1, :, ::4] += 120
    return pictures.split(pictures.Pictures(images, labels, ["lying", "standing"]), 0.25)


def main() -> None:
    name, folder, *dies = sys.argv[1:]
    framework, place, group = FRAMEWORKS[name], Path(folder), Group.from_environment()
    learn, held_out = drawings()

    def die(epoch: int, batch: int, batches: int) -> None:
        if dies and (epoch, batch) == (int(dies[0]), 2) and group.rank == group.size - 1:
            os.kill(os.getpid(), signal.SIGKILL)

    history = framework.train(
        learn,
        held_out,
        num_epochs=4,
        batch_size=16,
        learning_rate=0.05,
        seed=7,
        save_dir=place / "checkpoints",
        resume=True,
        width=4,
        on_batch=die,
        group=group,
        patience_seconds=PATIENCE_SECONDS[name],
    )
    if group.leads:
        weights = framework.save(history.network, place / "artefact", {"classes": learn.classes})
        found = {"epochs": history.epochs, "artefact_sha256": _hash(weights)}
        (place / "history.json").write_text(json.dumps(found))


def _hash(artefact: Path) -> str:
    from workshop.ml.artefact import read

    return weights_sha256(read(artefact)[0])


if __name__ == "__main__":
    main()

"""Train the small network that is committed in data/samples/cifar-network, for machines without any download.

Try it:  WORKSHOP_DATA_DIR=… .venvs/workshop/bin/python data/make_sample_network.py
Takes about five minutes on two cores and needs the real CIFAR-10 pictures, which are not committed: a network
is not its pictures. Learns from all training pictures by the full profile in Keras; the test pictures are
looked at once.
"""

import sys
import time
from pathlib import Path

from workshop import datasets
from workshop.ml import artefact, metrics, profiles, training
from workshop.ml.network import keras

FOLDER = Path(__file__).parent / "samples" / "cifar-network"
SEED = 10
LARGEST_BYTES = 1024 * 1024
# Photos are not CIFAR-10's pictures: the cat's probability in them is lower. Chosen on catvnoncat's 209 training
# pictures, where 4 % of the others lie above it and two thirds of the cats; scikit-image's cat is at 0.38, the
# likeliest of its other photographs at 0.32.
CAT_THRESHOLD = 0.35


def main() -> int:
    found = datasets.fetch("cifar10")
    learn, test = datasets.pictures(found)
    plan, started = profiles.PROFILES["full"], time.monotonic()
    history = keras.train(
        learn,
        None,
        plan.num_epochs,
        plan.batch_size,
        plan.learning_rate,
        SEED,
        width=plan.width,
        weight_decay=plan.weight_decay,
        on_epoch=lambda epoch, row: print(training.progress_line(epoch, plan.num_epochs, row), flush=True),
    )
    seconds = time.monotonic() - started
    described = {
        "classes": learn.classes,
        "data": f"CIFAR-10, {len(learn):,} training and {len(test):,} test pictures",
        "data_sha256": {"train": learn.fingerprint(), "test": test.fingerprint()},
        "cat_threshold": CAT_THRESHOLD,
        "made_by": "WORKSHOP_DATA_DIR=FOLDER .venvs/workshop/bin/python data/make_sample_network.py",
        "trained_with": {"profile": "full", **vars(plan), "seed": SEED, "seconds": round(seconds)},
    }
    keras.save(history.network, FOLDER, described, half_precision=True)
    # Scored as it is stored: half precision is part of what the reader gets.
    probabilities = keras.predict(keras.load(FOLDER), test.images)
    scores = metrics.summary(probabilities, test.labels, test.classes)
    keras.save(history.network, FOLDER, {**described, "metrics": scores}, half_precision=True)
    size = (FOLDER / artefact.WEIGHTS).stat().st_size
    print(f"test accuracy {scores['accuracy']:.4f}, AUC of cats {scores['cat_auc']:.4f}, {size:,} bytes")
    return 0 if size < LARGEST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())

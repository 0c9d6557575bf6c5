"""Do in one framework what test_ml_networks.py claims, and write what came out.

Try it:  .venvs/mxnet/bin/python tests/fast/network_report.py report mxnet FOLDER
`train` kills itself without warning after the epoch given last; `report` does all that is compared.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from workshop.ml import inference, pictures, squeezenet
from workshop.ml.network import gluon, keras

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "cifar-network"
PLAN = {"num_epochs": 3, "batch_size": 16, "learning_rate": 0.05, "seed": 7, "width": 4}


def drawings() -> tuple[pictures.Pictures, pictures.Pictures]:
    """Two classes that can be told apart: stripes that lie and stripes that stand, with noise."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 120, (96, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(96) % 2
    images[labels == 0, ::4] += 120
    images[labels == 1, :, ::4] += 120
    return pictures.split(pictures.Pictures(images, labels, ["lying", "standing"]), 0.25)


def train(module, folder: Path, kill_after: int = 0, resume: bool = False):
    def on_epoch(epoch, metrics):
        if epoch == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    rest, held_out = drawings()
    return module.train(rest, held_out, **PLAN, save_dir=folder, resume=resume, on_epoch=on_epoch)


def figures_of(history) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history.epochs]


def report(module, framework: str, folder: Path) -> dict:
    whole = train(module, folder / f"{framework}-whole")
    resumed = train(module, folder / f"{framework}-killed", resume=True)
    images, classes = drawings()[1].images, drawings()[1].classes
    probabilities = module.predict(whole.network, images)
    artefact = module.save(whole.network, folder / f"{framework}-artefact", {"classes": classes})
    return {
        "whole": figures_of(whole),
        "resumed": figures_of(resumed),
        "loaded_differs_by": float(
            np.abs(module.predict(module.load(artefact), images) - probabilities).max()
        ),
        "probabilities": probabilities.tolist(),
        "sample_network": sample_network(module, folder),
        **classify(framework, folder),
    }


def sample_network(module, folder: Path) -> list[list[float]]:
    """Classify the photos with the small network that comes with the workshop."""
    network = module.load(SAMPLE)
    return inference.predict_photos(lambda images: module.predict(network, images), photos(folder)).tolist()


def photos(folder: Path) -> list[np.ndarray]:
    return [np.load(path) for path in sorted(folder.glob("photo-*.npy"))]


def classify(framework: str, folder: Path) -> dict:
    make = {"mxnet": squeezenet.gluon_network, "keras": squeezenet.keras_network}[framework]
    network = make(squeezenet.read_weights(folder / "squeezenet.net"))
    prepared = squeezenet.preprocess_all(photos(folder))
    return {
        "squeezenet": squeezenet.probabilities(network, prepared, batch_size=2).tolist(),
        "features": squeezenet.features(network, prepared).tolist(),
    }


def read(module, folder: Path) -> list[list[float]]:
    """Classify with the network of an artefact, whichever framework wrote it."""
    return module.predict(module.load(folder), drawings()[1].images).tolist()


def main() -> None:
    action, framework, folder, *last = sys.argv[1:]
    module, place = {"mxnet": gluon, "keras": keras}[framework], Path(folder)
    if action == "train":
        train(module, place / f"{framework}-killed", kill_after=int(last[0]))
        return
    found = report(module, framework, place) if action == "report" else {}
    for writer in ("keras", "mxnet"):
        if (place / f"{writer}-artefact" / "metadata.json").exists():
            found[f"reads_{writer}"] = read(module, place / f"{writer}-artefact")
    (place / f"{framework}-{action}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()

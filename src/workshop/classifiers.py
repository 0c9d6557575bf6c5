"""Choose the network that answers "what is in this picture, and is it a cat?".

Try it:  workshop run classify-images
The pre-trained network is SqueezeNet with ImageNet's weights; where those can't be had it is our own small one
from data/samples, and `note` says so. An artefact of a training job answers in the same form. Knows no AWS and no
notebooks.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workshop import datasets
from workshop.errors import JobError
from workshop.ml import artefact, inference, network, pictures, squeezenet, transfer
from workshop.ml.pictures import Pictures
from workshop.ml.verdict import Verdict, judge_all
from workshop.settings import Settings, load

FRAMEWORKS = ("tensorflow", "mxnet")
OWN_NETWORK = Path("data/samples/cifar-network")


@dataclass(frozen=True)
class Classifier:
    """A network ready to answer. answer: uint8 RGB pictures of any sizes to probabilities (N, classes)."""

    name: str
    note: str
    classes: Sequence[str]
    cat_classes: Collection[int]
    answer: Callable[[Sequence[np.ndarray]], np.ndarray]
    cat_threshold: float | None = None  # of a network that is never sure of a photograph, see its metadata

    def judge(self, images: Sequence[np.ndarray]) -> list[Verdict]:
        """Give each picture its five likeliest classes, and cat or not."""
        return judge_all(self.answer(images), self.classes, self.cat_classes, threshold=self.cat_threshold)


def pretrained(framework: str, settings: Settings | None = None) -> Classifier:
    """Open the pre-trained network: SqueezeNet, or our own where its weights are not to be had."""
    settings = settings or load()
    found = datasets.find("squeezenet", settings)
    if found.is_sample:
        return trained(settings.root / OWN_NETWORK, framework, found.note)
    net = _squeezenet(found.path, framework)
    return Classifier(
        name=f"SqueezeNet 1.0 in {framework}",
        note=found.note,
        classes=datasets.class_names(settings),
        cat_classes=squeezenet.CAT_CLASSES,
        answer=lambda images: squeezenet.probabilities(net, squeezenet.preprocess_all(list(images))),
    )


def transferred(framework: str, learn: Pictures, settings: Settings | None = None) -> Classifier:
    """Teach the pre-trained network new classes: a logistic regression on its features of the given pictures.

    Errors: DataError where SqueezeNet's weights are not to be had: our own small network has too little to pass on.
    """
    found = datasets.find("squeezenet", settings or load(), sample=False)
    net = _squeezenet(found.path, framework)

    def features(images: Sequence[np.ndarray]) -> np.ndarray:
        return squeezenet.features(net, squeezenet.preprocess_all(list(images)))

    model = transfer.classifier(features(list(learn.images)), learn.labels)
    return Classifier(
        name=f"logistic regression on SqueezeNet's features in {framework}",
        note=found.note,
        classes=learn.classes,
        cat_classes=[index for index, name in enumerate(learn.classes) if name == "cat"],
        answer=lambda images: model.predict_proba(features(images)),
    )


def _squeezenet(path: Path, framework: str) -> Any:
    make = {"tensorflow": squeezenet.keras_network, "mxnet": squeezenet.gluon_network}[_known(framework)]
    return make(squeezenet.read_weights(path))


def trained(folder: Path, framework: str, note: str = "") -> Classifier:
    """Open the artefact of a training job, whichever framework trained it."""
    ours = {"tensorflow": network.keras, "mxnet": network.gluon}[_known(framework)]
    description = artefact.metadata(folder)
    net = ours.load(folder)
    classes = description["classes"]

    def answer(images: Sequence[np.ndarray]) -> np.ndarray:
        if all(image.shape[:2] == (pictures.SIDE, pictures.SIDE) for image in images):
            return ours.predict(net, np.stack(images))
        return inference.predict_photos(lambda views: ours.predict(net, views), images)

    return Classifier(
        name=f"our network of {description['num_weights']:,} weights in {framework}",
        note=note
        or f"artefact {folder.name}, trained with {description.get('framework', 'an unknown framework')}",
        classes=classes,
        cat_classes=[index for index, name in enumerate(classes) if name == "cat"],
        answer=answer,
        cat_threshold=description.get("cat_threshold"),
    )


def as_json(name: str, where: str, verdict: Verdict) -> dict[str, Any]:
    """Describe one classified picture for results.json."""
    return {
        "picture": name,
        "where": where,
        "verdict": verdict.words,
        "is_cat": verdict.is_cat,
        "cat_probability": round(verdict.cat_probability, 6),
        "top": [{"class": label, "probability": round(value, 6)} for label, value in verdict.top],
    }


def write_results(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write results.json, one entry a picture."""
    target = folder / "results.json"
    target.write_text(json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def _known(framework: str) -> str:
    if framework not in FRAMEWORKS:
        raise JobError(f"there is no framework '{framework}'", f"choose one of {', '.join(FRAMEWORKS)}")
    return framework

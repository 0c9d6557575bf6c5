"""What the networks reach on real test pictures, and how long that takes.

Try it:  WORKSHOP_PROFILE=full python -m benchmarks accuracy      (without it: the quick profile)
or one:  .venvs/mxnet/bin/python benchmarks/accuracy.py mxnet --profile full
Each framework trains in a process of its own environment; the time is that process's, all included.
Recipes were chosen on pictures held out of the training set; the test pictures are looked at once, here.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workshop import datasets
from workshop.ml import metrics, pictures, profiles, squeezenet, training, transfer
from workshop.ml.network import gluon, keras
from workshop.settings import load

MODULES = {"keras": keras, "mxnet": gluon}
ENVIRONMENTS = {"keras": "workshop", "mxnet": "mxnet"}
WANTED: dict[
    tuple[str, str], dict[str, float | None]
] = {  # what the course promises: test accuracy, AUC of cats, seconds on two cores
    ("quick", "keras"): {"accuracy": 0.60, "cat_auc": None, "seconds": 90},
    ("quick", "mxnet"): {"accuracy": 0.60, "cat_auc": None, "seconds": 90},
    ("full", "keras"): {"accuracy": 0.80, "cat_auc": 0.93, "seconds": 420},
    ("full", "mxnet"): {"accuracy": 0.76, "cat_auc": 0.93, "seconds": 600},
}
UNITS = {"accuracy": "share", "cat_auc": "AUC", "seconds": "s"}


def train(framework: str, profile: str, seed: int, save: str = "") -> dict:
    """Train by a profile and score on the test pictures: accuracy, cat_auc, seconds."""
    started, module, plan = time.monotonic(), MODULES[framework], profiles.profile(profile)
    found = datasets.find("cifar10")
    learn, test = datasets.pictures(found)
    learn = pictures.at_most(learn, plan.num_pictures)
    learn, validation = pictures.split(learn, plan.held_out, seed)
    history = module.train(
        learn,
        validation,
        plan.num_epochs,
        plan.batch_size,
        plan.learning_rate,
        seed,
        width=plan.width,
        weight_decay=plan.weight_decay,
        on_epoch=lambda epoch, row: print(training.progress_line(epoch, plan.num_epochs, row), flush=True),
    )
    scores = metrics.summary(module.predict(history.network, test.images), test.labels, test.classes)
    return {
        "framework": framework,
        "profile": profile,
        "seed": seed,
        "data": found.note,
        "is_sample": found.is_sample,
        "accuracy": scores["accuracy"],
        "plain_accuracy": metrics.accuracy(
            module.predict(history.network, test.images, mirrored=False), test.labels
        ),
        "cat_auc": scores["cat_auc"],
        "validation_accuracy": history.last["validation_accuracy"],
        "last_loss": history.last["loss"],
        "seconds": time.monotonic() - started,
        "processor_seconds": time.process_time(),
    }


def cat_or_not(framework: str) -> dict:
    """Score catvnoncat: SqueezeNet's features, then logistic regression."""
    started, weights = time.monotonic(), squeezenet.read_weights(datasets.fetch("squeezenet").path)
    make = {"keras": squeezenet.keras_network, "mxnet": squeezenet.gluon_network}[framework]
    network, (learn, test) = make(weights), datasets.pictures("catvnoncat")
    described = [
        squeezenet.features(network, squeezenet.preprocess_all(part.images)) for part in (learn, test)
    ]
    model = transfer.classifier(described[0], learn.labels)
    accuracy = float(model.score(described[1], test.labels))
    return {"framework": framework, "accuracy": accuracy, "seconds": time.monotonic() - started}


def _in_own_environment(framework: str, *arguments: str) -> dict:
    python = load().root / ".venvs" / ENVIRONMENTS[framework] / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "result.json"
        command = [str(python), __file__, framework, *arguments, "--json", str(target)]
        started = time.monotonic()
        subprocess.run(command, check=True)
        return {**json.loads(target.read_text()), "seconds": time.monotonic() - started}


def measure() -> list[dict]:
    """Train in both frameworks by the profile of the settings; `against` is what the course promises."""
    profile, rows = load().profile, []
    for framework in MODULES:
        found, wanted = _in_own_environment(framework, "--profile", profile), WANTED[profile, framework]
        data = "drawn pictures" if found["is_sample"] else "CIFAR-10"
        for what, unit in UNITS.items():
            target = None if found["is_sample"] else wanted[what]
            rows.append(_row(f"{data}, {profile} profile, {framework}: {what}", found[what], unit, target))
        if not datasets.find("squeezenet").is_sample and not datasets.find("catvnoncat").is_sample:
            found = _in_own_environment(framework, "--cat-or-not")
            name = f"catvnoncat, SqueezeNet features and logistic regression, {framework}: accuracy"
            rows.append(_row(name, found["accuracy"], "share", 0.96))
    return rows


def _row(name: str, value: float, unit: str, target: float | None) -> dict:
    better = None if target is None else target / value if unit == "s" else value / target
    return {"name": name, "value": value, "unit": unit, "against": target, "ratio": better}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("framework", choices=MODULES)
    parser.add_argument("--profile", choices=profiles.PROFILES, default="quick")
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--cat-or-not", action="store_true", help="catvnoncat instead of CIFAR-10")
    parser.add_argument("--json", type=Path, help="a file for the result")
    given = parser.parse_args()
    if given.cat_or_not:
        found = cat_or_not(given.framework)
    else:
        found = train(given.framework, given.profile, given.seed)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())

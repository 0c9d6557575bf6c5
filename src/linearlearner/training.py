"""Train: from the job's configuration and data to a model and its metrics.

Try it:  SAGEMAKER_BASE_DIR=/tmp/ml .venvs/linear-learner/bin/python -m linearlearner train
Three steps, as https://docs.aws.amazon.com/sagemaker/latest/dg/ll_how-it-works.html has them: preprocess, train many
models, validate and choose. Where training is told to stop, it keeps the best model so far.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping

from linearlearner import artefact, candidates, channels, choice, hyperparameters, scaling, scores
from linearlearner.channels import Rows
from linearlearner.epochs import Epochs
from linearlearner.errors import CustomerError
from linearlearner.folders import Folders, read_json
from linearlearner.hyperparameters import BINARY, Hyperparameters
from linearlearner.log_lines import Log

STAND_IN = (
    "This is the workshop's stand-in for Linear Learner. On AWS the real algorithm runs; "
    "its models and these are not interchangeable."
)


def train(folders: Folders, log: Log, stopped: Callable[[], bool]) -> bool:
    """Do the job; whether a model was written. stopped: asked before every mini-batch.

    Errors: CustomerError for what is wrong with hyperparameters or data.
    """
    log.plain(STAND_IN)
    given = _configured(folders, log)
    configured = read_json(folders.channels)
    channels.check(configured)
    data = {
        name: channels.load(name, configured[name], folders, given)
        for name in channels.NAMES
        if name in configured
    }
    channels.check_size(data["train"], given.mini_batch_size)
    scaler = scaling.fit(data["train"], given)
    log.info(
        f"Scaling model computed with parameters: mean {scaler.mean.tolist()}, stdev {scaler.scale.tolist()}"
    )
    tried = candidates.make(given, _balanced(data["train"]) if given.predictor_type == BINARY else 1.0)
    best = Epochs(data, scaler, tried, given, log).run(stopped)
    if best is None and not stopped():
        raise CustomerError(
            "Training diverged: no model has a finite loss",
            "make learning_rate smaller, or normalize_data true",
        )
    if best is None:
        return False
    deciding = "validation" if "validation" in data else "train"
    chosen = choice.choose(best.weights, best.bias, scaler, data[deciding], best.losses, given)
    found = {deciding: scores.measure(chosen.predictor, data[deciding], given)}
    log.final(deciding, found[deciding])
    described = {"optimizer": candidates.optimizer(given), **dataclasses.asdict(tried[chosen.model])}
    log.info(f"Best model found for hyperparameters: {json.dumps(described)}")
    if "test" in data:
        found["test"] = scores.measure(chosen.predictor, data["test"], given)
        log.final("test", found["test"])
    else:
        log.info("Test data is not provided.")
    artefact.save(chosen.predictor, folders.model, {"trained_with": described, "metrics": found})
    return True


def _configured(folders: Folders, log: Log) -> Hyperparameters:
    """The hyperparameters, and the lines in which the algorithm says what it was given."""
    texts: Mapping[str, str] = read_json(folders.hyperparameters)
    log.info(f"Reading default configuration: {hyperparameters.defaults()}")
    log.info(f"Merging with provided configuration from {folders.shown(folders.hyperparameters)}: {texts}")
    log.info(f"Final configuration: {hyperparameters.defaults() | dict(texts)}")
    return hyperparameters.read(texts)


def _balanced(rows: Rows) -> float:
    """The weight of a positive example at which both classes weigh the same."""
    positives = int((rows.labels == 1).sum())
    return (len(rows) - positives) / positives if 0 < positives < len(rows) else 1.0

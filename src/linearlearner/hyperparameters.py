"""The hyperparameters of Linear Learner: names, allowed values and defaults, as AWS documents them.

Try it:  python -c "from linearlearner import hyperparameters as h; print(h.defaults())"
https://docs.aws.amazon.com/sagemaker/latest/dg/ll_hyperparameters.html; every value arrives as a string. A value
that may be `auto` is None here where it was left so. Names that begin with `_` are SageMaker's own; of them only
`_tuning_objective_metric` means something here: a tuning job trains one model, whatever num_models says.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from linearlearner.errors import CustomerError

BINARY, MULTICLASS, REGRESSOR = "binary_classifier", "multiclass_classifier", "regressor"
PREDICTORS = (BINARY, REGRESSOR, MULTICLASS)
TUNING = "_tuning_objective_metric"
LOSSES = {
    BINARY: ("logistic", "hinge_loss"),
    MULTICLASS: ("softmax_loss",),
    REGRESSOR: (
        "squared_loss",
        "absolute_loss",
        "eps_insensitive_squared_loss",
        "eps_insensitive_absolute_loss",
        "quantile_loss",
        "huber_loss",
    ),
}
"""What `loss` may be for each predictor_type; the first is what `auto` means."""
CRITERIA = (
    "accuracy",
    "f_beta",
    "precision_at_target_recall",
    "recall_at_target_precision",
    "loss_function",
)


@dataclass(frozen=True)
class Kind:
    """What a value may be. words: for the error; read: from the string, ValueError if it is not."""

    words: str
    read: Callable[[str], Any]


def _whole(low: int, high: float = math.inf) -> Kind:
    def read(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    words = "a positive integer" if high == math.inf else f"an integer from {low:,} to {high:,.0f}"
    return Kind(words, read)


def _number(words: str, allowed: Callable[[float], bool]) -> Kind:
    def read(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and allowed(value)):
            raise ValueError(text)
        return value

    return Kind(words, read)


def _one_of(*words: str) -> Kind:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Kind("one of " + ", ".join(words), read)


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _or_word(kind: Kind, word: str, value: Any) -> Kind:
    """The kind, or one word in its place."""
    return Kind(f"'{word}' or {kind.words}", lambda text: value if text == word else kind.read(text))


COUNT = _whole(1)
FLAG = Kind("'true' or 'false'", _truth)
ANY = _number("a number", lambda value: True)
POSITIVE = _number("a positive number", lambda value: value > 0)
NOT_NEGATIVE = _number("a number that is not negative", lambda value: value >= 0)
FRACTION = _number("a number between 0 and 1", lambda value: 0 < value < 1)
DECAY = _number("a number from 0 to below 1", lambda value: 0 <= value < 1)


def _given(default: str, kind: Kind) -> Any:
    return field(default=kind.read(default), metadata={"default": default, "kind": kind})


def _required(kind: Kind) -> Any:
    return field(metadata={"default": None, "kind": kind})


def _auto(kind: Kind, default: str = "auto") -> Any:
    return _given(default, _or_word(kind, "auto", None))


@dataclass(frozen=True)
class Hyperparameters:
    """Every hyperparameter of the algorithm, read. None: left to the algorithm (`auto`)."""

    predictor_type: str = _required(_one_of(*PREDICTORS))
    accuracy_top_k: int = _given("3", COUNT)
    balance_multiclass_weights: bool = _given("false", FLAG)
    beta_1: float | None = _auto(DECAY)
    beta_2: float | None = _auto(DECAY)
    bias_lr_mult: float | None = _auto(POSITIVE)
    bias_wd_mult: float | None = _auto(NOT_NEGATIVE)
    # None: not given, which early stopping tells apart from the same value given.
    binary_classifier_model_selection_criteria: str | None = field(
        default=None, metadata={"default": "accuracy", "kind": _one_of(*CRITERIA)}
    )
    early_stopping_patience: int = _given("3", COUNT)
    early_stopping_tolerance: float = _given("0.001", POSITIVE)
    epochs: int = _given("15", COUNT)
    f_beta: float = _given("1.0", POSITIVE)
    feature_dim: int | None = _auto(COUNT)
    huber_delta: float = _given("1.0", POSITIVE)
    init_bias: float = _given("0", ANY)
    init_method: str = _given("uniform", _one_of("uniform", "normal"))
    init_scale: float = _given("0.07", POSITIVE)
    init_sigma: float = _given("0.01", POSITIVE)
    l1: float | None = _auto(NOT_NEGATIVE)
    learning_rate: float | None = _auto(POSITIVE)
    loss: str | None = _auto(_one_of(*(loss for losses in LOSSES.values() for loss in losses)))
    loss_insensitivity: float = _given("0.01", POSITIVE)
    lr_scheduler_factor: float | None = _auto(FRACTION)
    lr_scheduler_minimum_lr: float | None = _auto(POSITIVE)
    lr_scheduler_step: int | None = _auto(COUNT)
    margin: float = _given("1.0", POSITIVE)
    mini_batch_size: int = _given("1000", COUNT)
    momentum: float | None = _auto(DECAY)
    normalize_data: bool | None = _auto(FLAG, "true")
    normalize_label: bool | None = _auto(FLAG)
    num_calibration_samples: int | None = _auto(COUNT)
    num_classes: int | None = field(
        default=None, metadata={"default": "", "kind": _or_word(_whole(1, 1_000_000), "", None)}
    )
    num_models: int | None = _auto(COUNT)
    num_point_for_scaler: int = _given("10000", COUNT)
    optimizer: str | None = _auto(_one_of("sgd", "adam", "rmsprop"))
    # None: `auto`; 0: `balanced`.
    positive_example_weight_mult: float | None = _given(
        "1.0", _or_word(_or_word(POSITIVE, "auto", None), "balanced", 0.0)
    )
    quantile: float = _given("0.5", FRACTION)
    target_precision: float = _given("0.8", FRACTION)
    target_recall: float = _given("0.8", FRACTION)
    unbias_data: bool | None = _auto(FLAG)
    unbias_label: bool | None = _auto(FLAG)
    use_bias: bool = _given("true", FLAG)
    use_lr_scheduler: bool = _given("true", FLAG)
    wd: float | None = _auto(NOT_NEGATIVE)

    @property
    def chosen_loss(self) -> str:
        """The loss function, `auto` resolved."""
        return self.loss or LOSSES[self.predictor_type][0]

    @property
    def criteria(self) -> str:
        """By what a model for two classes is chosen."""
        return self.binary_classifier_model_selection_criteria or "accuracy"

    @property
    def classes(self) -> int:
        """How many outputs a model has: one, but for multiclass_classifier."""
        return (self.num_classes or 1) if self.predictor_type == MULTICLASS else 1


TABLE = {each.name: each for each in fields(Hyperparameters)}


def defaults() -> dict[str, str]:
    """The optional hyperparameters and their defaults, as strings."""
    return {name: each.metadata["default"] for name, each in TABLE.items() if each.metadata["default"]}


def read(given: Mapping[str, Any]) -> Hyperparameters:
    """Check and read what the job was given. Errors: CustomerError, naming every problem."""
    texts = {name: str(value) for name, value in given.items() if not name.startswith("_")}
    _refuse_unknown(sorted(texts.keys() - TABLE.keys()))
    missing = [name for name, each in TABLE.items() if each.metadata["default"] is None and name not in texts]
    if missing:
        _refuse_missing(missing)
    values, problems = {}, []
    for name, text in texts.items():
        kind: Kind = TABLE[name].metadata["kind"]
        try:
            values[name] = kind.read(text)
        except (ValueError, KeyError):
            problems.append(f"'{text}' is not a valid value for '{name}', which is {kind.words}")
    if problems:
        raise CustomerError(
            "Unable to initialize the algorithm. Failed to validate hyperparameters.",
            "; ".join(problems),
            "ValidationError",
        )
    found = Hyperparameters(**(values | ({"num_models": 1} if given.get(TUNING) else {})))
    _check_together(found)
    return found


def _refuse_unknown(names: list[str]) -> None:
    if names:
        listed = ", ".join(f"'{name}'" for name in names)
        text = f"({listed} {'was' if len(names) == 1 else 'were'} unexpected)"
        raise CustomerError(
            f"Additional hyperparameters are not allowed {text}",
            f"Additional properties are not allowed {text}",
            "ValidationError",
        )


def _refuse_missing(names: list[str]) -> None:
    # The sentence of the built-in algorithms: https://github.com/aws/sagemaker-python-sdk/issues/132
    listed = ", ".join(f"'{name}'" for name in names)
    raise CustomerError(
        f"No value(s) were specified for {listed} which are required hyperparameter(s)",
        f"{listed} is a required property",
        "ValidationError",
    )


def _check_together(found: Hyperparameters) -> None:
    """What depends on predictor_type."""
    if found.predictor_type == MULTICLASS and found.num_classes is None:
        _refuse_missing(["num_classes"])
    if found.predictor_type == MULTICLASS and (found.num_classes or 0) < 3:
        raise CustomerError(
            "Unable to initialize the algorithm. Failed to validate hyperparameters.",
            f"'{found.num_classes}' is not a valid value for 'num_classes', which is an integer from 3 to 1,000,000",
            "ValidationError",
        )
    if found.chosen_loss not in LOSSES[found.predictor_type]:
        raise CustomerError(
            "Unable to initialize the algorithm. Failed to validate hyperparameters.",
            f"loss '{found.loss}' is not for predictor_type '{found.predictor_type}', "
            f"which has auto, {', '.join(LOSSES[found.predictor_type])}",
            "ValidationError",
        )

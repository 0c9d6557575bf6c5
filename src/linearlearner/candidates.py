"""The models that are trained side by side, and in what they differ.

Try it:  python -c "from linearlearner import candidates as c, hyperparameters as h;
         print(c.make(h.read({'predictor_type': 'regressor'}), 1.0)[0])"
https://docs.aws.amazon.com/sagemaker/latest/dg/ll_hyperparameters.html: "One model is trained according to the given
training parameter (regularization, optimizer, loss), and the rest by close parameters." AWS does not say which those
are. Its logs show 32 models for `auto`, with learning rates and weight decays far apart; so it is here, with steps of
our own. What a job fixes is varied by less, and not at all where it says 0.
"""

import itertools
from dataclasses import dataclass

from linearlearner.hyperparameters import BINARY, Hyperparameters

AUTO_MODELS = 32
RATES = {"adam": (0.01, 0.1), "rmsprop": (0.01, 0.1), "sgd": (0.1, 0.5)}
DECAYS = (1e-4, 0.0, 1e-3, 1e-2)
L1S = (0.0, 1e-5, 1e-4, 1e-3)
# The schedule that AWS's logs print for a job that leaves it to the algorithm.
SCHEDULER_STEP, SCHEDULER_FACTOR, SCHEDULER_MINIMUM = 100, 0.99, 1e-5


@dataclass(frozen=True)
class Candidate:
    """What one model is trained with. positive_weight: of an example with label 1."""

    learning_rate: float
    wd: float
    l1: float
    positive_weight: float = 1.0


def optimizer(given: Hyperparameters) -> str:
    """The optimizer, `auto` resolved."""
    return given.optimizer or "adam"


def make(given: Hyperparameters, balanced_weight: float) -> list[Candidate]:
    """The candidates, the one of the given parameters first. balanced_weight: negatives for each positive.

    More models than there are combinations begin again at the first, with other weights to start from.
    """
    grid = [
        Candidate(rate, decay, l1, weight)
        for l1, weight, decay, rate in itertools.product(
            _near(given.l1, L1S),
            _weights(given, balanced_weight),
            _near(given.wd, DECAYS),
            _near(given.learning_rate, RATES[optimizer(given)]),
        )
    ]
    wanted = given.num_models or min(AUTO_MODELS, len(grid))
    return [grid[number % len(grid)] for number in range(wanted)]


def _near(given: float | None, automatic: tuple[float, ...]) -> tuple[float, ...]:
    if given is None:
        return automatic
    return (given, given / 2) if given else (0.0,)


def _weights(given: Hyperparameters, balanced: float) -> tuple[float, ...]:
    if given.predictor_type != BINARY:
        return (1.0,)
    if given.positive_example_weight_mult is None:
        return (1.0, balanced)
    return (given.positive_example_weight_mult or balanced,)

"""How long and how hard to train: the settings of `--profile`, as data.

Try it:  python -c "from workshop.ml import profiles; print(profiles.PROFILES['quick'])"
What they reach is measured by benchmarks/accuracy.py. Chosen on a tenth of CIFAR-10's training pictures, never on
test pictures: twice the epochs, half as much width again, mixing pictures or changing their size and colour gained
nothing within 60 epochs.
"""

from __future__ import annotations

from dataclasses import dataclass

from workshop.errors import SettingsError


@dataclass(frozen=True)
class Profile:
    """num_epochs: passes over the pictures; learning_rate: its peak; width: channels of the first block.

    num_pictures: at most so many are learned from, so that the time does not grow with the data. held_out: share of
    them that training only watches its progress on; each of them is missing from what is learned.
    """

    num_epochs: int
    num_pictures: int = 10_000
    held_out: float = 0.1
    batch_size: int = 64  # pictures
    learning_rate: float = 0.1
    width: int = 32
    weight_decay: float = 5e-3  # decoupled from the gradient, times the learning rate


PROFILES = {
    "quick": Profile(num_epochs=6),
    "full": Profile(num_epochs=40, num_pictures=50_000, held_out=0.02),
}


def profile(name: str) -> Profile:
    """Look a profile up by name.

    Errors: SettingsError if there is none by that name.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise SettingsError(f"there is no profile {name!r}", f"choose one of {', '.join(PROFILES)}") from None

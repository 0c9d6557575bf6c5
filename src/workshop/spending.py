"""Before anything is made on a real account: what, how long, at what cost, and does the learner want it?

Try it:  WORKSHOP_TARGET=aws workshop prepare 2
The question itself is workshop.aws.consent's, the estimate workshop.aws.costs'; what labs make, course.py
knows.
"""

from collections.abc import Sequence

from workshop import course
from workshop.aws import consent, costs, quotas, session
from workshop.settings import Settings


def confirm(doing: str, last_lab: int, settings: Settings, yes: bool) -> None:
    """Return if the learner agrees, or if the target is the local AWS.

    last_lab: the last one whose things will be made.
    Errors: TargetError if it was declined, or nobody is there to ask.
    """
    concerns = [name for lab, names in course.STACKS.items() if lab <= last_lab for name in names]
    images = [name for lab, names in course.IMAGES.items() if lab <= last_lab for name in names]
    labs = [lab for lab in course.labs(settings.root) if lab.number <= last_lab]
    minutes = course.PREPARE_MINUTES_ON_AWS + sum(lab.minutes for lab in labs)
    confirm_stacks(doing, concerns, settings, yes, minutes, images)


def confirm_stacks(
    doing: str,
    concerns: Sequence[str],
    settings: Settings,
    yes: bool,
    minutes: float = 10.0,
    images: Sequence[str] = (),
) -> None:
    """The same for stacks by name. minutes: how long it takes, and at least an hour is what it costs."""
    aws = session.connect(settings)
    if aws.is_local:
        return
    cost = costs.estimate(concerns, minutes=max(minutes, 60.0), region=settings.region, root=settings.root)
    plan = consent.Plan(
        doing=doing,
        resources=[*(f"stack {aws.name}-{name}" for name in concerns), *(f"image {name}" for name in images)],
        minutes=minutes,
        cost_usd=cost.usd,
        cost_note=f"for the first hour; then {cost.usd_per_hour:.2f} USD an hour until workshop clean --all",
        warnings=quotas.check(concerns, aws),
    )
    consent.confirm(plan, aws, yes=yes)

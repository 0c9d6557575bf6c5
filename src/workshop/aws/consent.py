"""Ask before anything is made on a real account.

Try it:  workshop --target aws prepare 1
Shows account, region, what will be made, how long it takes and what it costs, and takes only a typed yes.
Asks nothing on the local AWS. Knows nothing of how the cost was computed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workshop.aws.session import Aws
from workshop.errors import TargetError


@dataclass(frozen=True)
class Plan:
    """What is about to happen. cost_usd is None where it can't be told; cost_note says what it leaves out."""

    doing: str
    resources: Sequence[str]
    minutes: float
    cost_usd: float | None
    cost_note: str = ""
    warnings: Sequence[str] = ()  # limits of the account that are too low


def describe(plan: Plan, aws: Aws) -> str:
    """The plan in lines, as it is shown before the question."""
    cost = "unknown" if plan.cost_usd is None else f"about {plan.cost_usd:.2f} USD"
    lines = [
        f"{plan.doing} on AWS account {aws.account}, region {aws.region}",
        *(f"  makes  {resource}" for resource in plan.resources),
        f"  takes  about {plan.minutes:g} minutes",
        f"  costs  {cost}{' ' + plan.cost_note if plan.cost_note else ''}",
        *(f"  limit  {warning}" for warning in plan.warnings),
    ]
    return "\n".join(lines)


def confirm(
    plan: Plan,
    aws: Aws,
    yes: bool = False,
    ask: Callable[[str], str] = input,
    show: Callable[[str], None] = print,
    interactive: bool | None = None,
) -> None:
    """Return if the plan may go ahead. Errors: TargetError if it was declined or nobody is there to ask."""
    if aws.is_local:
        return
    show(describe(plan, aws))
    if yes:
        return
    if interactive is None:
        interactive = sys.stdin is not None and sys.stdin.isatty()
    if not interactive:
        raise TargetError(
            f"'{plan.doing}' would cost money in account {aws.account}, and nobody is here to confirm it",
            "add --yes if that is what you want",
        )
    if ask(f"Type yes to go ahead in account {aws.account}: ").strip().lower() != "yes":
        raise TargetError(f"'{plan.doing}' was declined: nothing was made")

"""Keep every decision of IAM's, to see later which right was needed for what.

Try it:  python -m localaws serve --record-decisions, then less STATE_DIR/localaws/decisions.jsonl
One line a decision: who, which action, on what, with which condition keys, and whether it was allowed. All
decisions come from one function of ministack's, and that is wrapped. The account's root is never decided on.
Judges nothing: benchmarks/policy_mutations.py reads the lines and asks again with a policy that lacks a right.
"""

import contextvars
import dataclasses
import itertools
import json
import threading
import time
from pathlib import Path
from typing import Any

FILE = "decisions.jsonl"


def has_begun(folder: Path) -> bool:
    """Whether a former server recorded here: then this one goes on, so that a restart leaves no gap."""
    return (folder / FILE).exists()


def record(folder: Path) -> Path:
    """Write to FILE in this folder from now on, at its end; returns its path."""
    from ministack.core import iam_evaluator

    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = path.open("a", buffering=1)
    evaluate = iam_evaluator.evaluate
    one_at_a_time, numbers = threading.Lock(), itertools.count(1)

    # A resource's own policy is weighed by the same function; that is a part of a decision and none itself.
    within = contextvars.ContextVar("localaws_weighing_resource_policy", default=False)

    def recorded(context: Any, policies: Any, *limits: Any) -> Any:
        result = evaluate(context, policies, *limits)
        if within.get():
            return result
        with one_at_a_time:  # so that the lines come in the order of their numbers
            line = json.dumps(_line(next(numbers), context, result.decision), default=str)
            opened.write(line + "\n")
        return result

    weigh = iam_evaluator.evaluate_resource_policy

    def weighed(*arguments: Any, **options: Any) -> Any:
        token = within.set(True)
        try:
            return weigh(*arguments, **options)
        finally:
            within.reset(token)

    iam_evaluator.evaluate, iam_evaluator.evaluate_resource_policy = recorded, weighed
    return path


def _line(number: int, context: Any, decision: str) -> dict[str, Any]:
    from ministack.core import iam_evaluator

    return {
        "number": number,
        "time": round(time.time(), 3),
        # A client's own signed request, or what a service asks on behalf of whom it acts for.
        "asked_by": "request" if iam_evaluator._verified_key.get() else "service",
        "principal": context.principal_arn,
        "action": context.action,
        "resource": context.resource_arn,
        "allowed": decision == "Allow",
        # All that the decision was made from, so that it can be made again.
        "context": dataclasses.asdict(context),
    }

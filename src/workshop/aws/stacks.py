"""Deploy the course's CloudFormation stacks, watch them, wire them to each other, delete them.

Try it:  from workshop.aws import stacks; stacks.deploy("network", on_event=print)
A template's parameter that has the name of another course stack's output gets that output's value, so nobody
copies a value by hand. Knows no resource by name: what a stack holds is the template's matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workshop.aws import boundary, change_sets, session, stack_parameters, templates, waiting
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.aws.stack_events import Event, first_failure, follow, read_all, refused_early
from workshop.errors import AwsError

COURSE = (
    "network",
    "storage",
    "cluster",
    "upload",
    "private-network",
    "sentiment",
    "sentiment-service",
    "airflow",
    "satisfaction",
    "deploy-role",
)
"""In the order in which they are made: each may need outputs of those before it."""
LAB_OF = {
    "network": 1,
    "storage": 1,
    "cluster": 1,
    "upload": 4,
    "airflow": 5,
    "private-network": 6,
    "sentiment": 6,
    "sentiment-service": 6,
    "satisfaction": 8,
}
"""The lab that makes each."""
ADMINISTRATORS = ("deploy-role",)
"""Those that a learner can't make, nor take away: they let somebody from outside into the account."""

DEPLOY_TIMEOUT_SECONDS = 20 * 60
DELETE_TIMEOUT_SECONDS = 20 * 60
# States in which a stack can only be deleted: AWS refuses every update of it.
DEAD = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS")
GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def stack_name(concern: str, aws: Aws) -> str:
    return f"{aws.name}-{concern}"


def status(concern: str, aws: Aws | None = None) -> str | None:
    """The stack's status, or None if there is none by that name."""
    stack = describe(concern, aws)
    return stack["StackStatus"] if stack else None


def describe(concern: str, aws: Aws | None = None) -> dict[str, Any] | None:
    """What describe_stacks says of one course stack, or None if it does not exist."""
    aws = aws or session.current()
    return _describe(stack_name(concern, aws), aws)


def outputs(concern: str | None = None, aws: Aws | None = None) -> dict[str, str]:
    """Output values by name; without a concern, those of all course stacks that are complete.

    Errors: AwsError if the one asked for does not exist or is not complete.
    """
    aws = aws or session.current()
    if concern is None:
        return _merged_outputs(aws)
    stack = describe(concern, aws)
    if stack is None:
        raise AwsError(
            f"there is no stack '{stack_name(concern, aws)}' in {aws.region}",
            f"workshop run {LAB_OF.get(concern, 1)}",
        )
    return _outputs(stack)


def output(name: str, aws: Aws | None = None) -> str:
    """One output's value, whichever course stack has it."""
    aws = aws or session.current()
    found = outputs(None, aws)
    if name not in found:
        have = ", ".join(sorted(found)) or "none"
        raise AwsError(
            f"no course stack in {aws.region} has an output '{name}' (outputs: {have})",
            f"workshop run {_lab_with(name, aws)}",
        )
    return found[name]


def events(concern: str, aws: Aws | None = None) -> list[Event]:
    """Every event of the stack's whole life, oldest first."""
    aws = aws or session.current()
    return read_all(aws, stack_name(concern, aws))


def deploy(
    concern: str,
    on_event: Callable[[Event], None] | None = None,
    aws: Aws | None = None,
    timeout_seconds: float = DEPLOY_TIMEOUT_SECONDS,
    **parameters: str,
) -> dict[str, str]:
    """Create or update one course stack from cloudformation/<concern>.yaml and return its outputs.

    parameters: values by the template's names; those left out come from other stacks' outputs, the settings,
    what the stack has now, or the template's default, in this order.
    Errors: AwsError with the first resource that failed and why; with every parameter that nobody can fill.
    """
    aws = aws or session.current()
    name = stack_name(concern, aws)
    body = _template(concern, aws)
    if "PermissionsBoundary" in body:
        boundary.ensure(aws)
    exists = _ready_for_change(name, aws)
    found = describe(concern, aws) if exists else None
    others = {name: value for name, value in outputs(None, aws).items() if name not in _outputs(found or {})}
    values = stack_parameters.fill(concern, body, parameters, found, others, aws)
    change = change_sets.plan(name, body, values, exists, aws)
    if change is None:
        return outputs(concern, aws)
    seen = {event.id for event in read_all(aws, name)}
    cloudformation = aws.client("cloudformation")
    with explained(f"deploy {name}"):
        cloudformation.execute_change_set(StackName=name, ChangeSetName=change)
    final, happened = follow(aws, name, seen, on_event, timeout_seconds)
    if final not in GOOD:
        raise _failure(name, final, happened, aws)
    return outputs(concern, aws)


def delete(
    concern: str,
    on_event: Callable[[Event], None] | None = None,
    aws: Aws | None = None,
    timeout_seconds: float = DELETE_TIMEOUT_SECONDS,
) -> bool:
    """Delete one course stack; False if there was none.

    Deletes nothing that AWS would not: a bucket or repository that holds something fails it, with the reason.
    `cleaning` empties those first.
    """
    aws = aws or session.current()
    stack = describe(concern, aws)
    if stack is None:
        return False
    stack_id = stack["StackId"]  # a deleted stack is found by its id alone
    seen = {event.id for event in read_all(aws, stack_id)}
    with explained(f"delete {stack['StackName']}"):
        aws.client("cloudformation").delete_stack(StackName=stack_id)
    final, happened = follow(aws, stack_id, seen, on_event, timeout_seconds)
    if final != "DELETE_COMPLETE":
        raise _failure(stack["StackName"], final, happened, aws)
    return True


def resources(concern: str, aws: Aws | None = None) -> list[tuple[str, str, str]]:
    """(logical id, type, physical id) of everything that the stack holds now."""
    aws = aws or session.current()
    name = stack_name(concern, aws)
    found = []
    with explained(f"list the resources of {name}"):
        for page in (
            aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        ):
            found += [
                (entry["LogicalResourceId"], entry["ResourceType"], entry.get("PhysicalResourceId", ""))
                for entry in page["StackResourceSummaries"]
                if entry["ResourceStatus"] != "DELETE_COMPLETE"
            ]
    return found


def _describe(name: str, aws: Aws) -> dict[str, Any] | None:
    try:
        with explained(f"look for the stack {name}"):
            found = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except AwsError as error:
        if "does not exist" in error.message:
            return None
        raise
    alive = [stack for stack in found if stack["StackStatus"] != "DELETE_COMPLETE"]
    return alive[0] if alive else None


def _merged_outputs(aws: Aws) -> dict[str, str]:
    """One question for all stacks: asking for each would take four, at every task that is run."""
    with explained("list the stacks"):
        pages = aws.client("cloudformation").get_paginator("describe_stacks").paginate()
        found = {stack["StackName"]: stack for page in pages for stack in page["Stacks"]}
    merged: dict[str, str] = {}
    for concern in COURSE:
        stack = found.get(stack_name(concern, aws))
        if stack and stack["StackStatus"].endswith("_COMPLETE"):
            merged.update(_outputs(stack))
    return merged


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])}


def _template(concern: str, aws: Aws) -> str:
    path = aws.settings.root / "cloudformation" / f"{concern}.yaml"
    if not path.is_file():
        have = ", ".join(sorted(each.stem for each in path.parent.glob("*.yaml"))) or "none"
        raise AwsError(f"there is no template {path} (templates: {have})")
    return path.read_text()


def _ready_for_change(name: str, aws: Aws) -> bool:
    """Wait for another change of the stack to end; delete it if it is dead. True if it exists then."""
    latest = {"status": ""}

    def settled() -> str | None:
        stack = _describe(name, aws)
        latest["status"] = stack["StackStatus"] if stack else "absent"
        busy = latest["status"].endswith("_IN_PROGRESS") and latest["status"] not in DEAD
        return None if busy else latest["status"]

    what = f"another change of {name} to end"
    state = waiting.until(settled, DEPLOY_TIMEOUT_SECONDS, what, lambda: latest["status"])
    if state in DEAD:
        _delete_dead(name, aws)
        return False
    return state != "absent"


def _delete_dead(name: str, aws: Aws) -> None:
    """Delete a stack that can't be updated. Errors: AwsError with the reason if that fails too."""
    stack = _describe(name, aws)
    if stack is None:
        return
    seen = {event.id for event in read_all(aws, stack["StackId"])}
    with explained(f"delete {name}, which is {stack['StackStatus']}"):
        aws.client("cloudformation").delete_stack(StackName=name)

    def ended() -> list[Event] | str | None:
        if _describe(name, aws) is None:
            return "gone"
        fresh = [event for event in read_all(aws, stack["StackId"]) if event.id not in seen]
        over = any(event.logical_id == name and event.status == "DELETE_FAILED" for event in fresh)
        return fresh if over else None

    outcome = waiting.until(ended, DELETE_TIMEOUT_SECONDS, f"{name} to be deleted")
    if isinstance(outcome, list):
        raise _failure(name, "DELETE_FAILED", outcome, aws)


def _failure(name: str, final: str, happened: list[Event], aws: Aws) -> AwsError:
    culprit = first_failure(happened)
    if culprit and "DescribeEvents" in culprit.reason:
        culprit = next(iter(refused_early(aws, StackName=name)), culprit)
    if culprit is None:
        return AwsError(f"stack {name} ended as {final}")
    remedy = ""
    if "not empty" in culprit.reason or "contains images" in culprit.reason:
        remedy = "workshop clean --all   (empties it first)"
    return AwsError(
        f"stack {name} ended as {final}: {culprit.logical_id} ({culprit.type}): {culprit.reason}", remedy
    )


def _lab_with(output_name: str, aws: Aws) -> int:
    """The lab that makes the stack with this output, or the first."""
    for concern, lab in LAB_OF.items():
        if output_name in templates.read(concern, aws.settings.root).document.get("Outputs", {}):
            return lab
    return 1

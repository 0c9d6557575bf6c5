"""Wait for SageMaker's endpoints, ask them, and take them away.

Try it:  from workshop.aws import hosting; hosting.wait("workshop-satisfaction"); hosting.predict("…", rows)
Model, endpoint configuration and endpoint are made by SageMaker's own calls, as the labs show them. Knows of an
answer only that it is Linear Learner's; an endpoint costs by the hour, asked or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from workshop.aws import linear_learner, sagemaker_names, session, waiting
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.errors import AwsError
from workshop.progress import moment

UP = ("InService", "Updating", "SystemUpdating", "RollingBack")
"""States in which an endpoint answers."""
BROKEN = ("Failed", "OutOfService", "UpdateRollbackFailed")
CREATE_TIMEOUT_SECONDS = 30 * 60
DELETE_TIMEOUT_SECONDS = 10 * 60
LONGEST_PAUSE_SECONDS = {"local": 0.2, "aws": 10.0}
BATCH_ROWS = 1000


@dataclass(frozen=True)
class Endpoint:
    """One endpoint as SageMaker described it last. variants: name to (instances that run, that are wanted, weight)."""

    name: str
    arn: str
    status: str
    configuration: str
    created: datetime
    reason: str = ""
    variants: tuple[tuple[str, int, int, float], ...] = ()

    @property
    def is_up(self) -> bool:
        return self.status in UP

    def __str__(self) -> str:
        shown = [f"{name} {now} of {wanted}" for name, now, wanted, _ in self.variants]
        return f"{self.name}: {self.status}" + (f" ({', '.join(shown)})" if shown else "")


def describe(name: str, aws: Aws | None = None) -> Endpoint | None:
    """The endpoint as it is now; None if there is none by that name."""
    aws = aws or session.current()
    entry = sagemaker_names.described("describe_endpoint", aws, EndpointName=name)
    if entry is None:
        return None
    return Endpoint(
        name=entry["EndpointName"],
        arn=entry["EndpointArn"],
        status=entry["EndpointStatus"],
        configuration=entry.get("EndpointConfigName", ""),
        created=entry["CreationTime"],
        reason=entry.get("FailureReason", ""),
        variants=tuple(
            (
                each["VariantName"],
                int(each.get("CurrentInstanceCount", 0)),
                int(each.get("DesiredInstanceCount", 0)),
                float(each.get("CurrentWeight", 0.0)),
            )
            for each in entry.get("ProductionVariants", [])
        ),
    )


def is_up(name: str, aws: Aws | None = None) -> bool:
    """True if the endpoint is there and answers."""
    found = describe(name, aws)
    return found is not None and found.is_up


def wait(
    name: str,
    timeout_seconds: float = CREATE_TIMEOUT_SECONDS,
    on_line: Callable[[str], None] = print,
    aws: Aws | None = None,
) -> Endpoint:
    """Tell each state with the time waited, and return the endpoint once it is in service.

    Errors: AwsError with SageMaker's reason if it fails, is rolled back, or is not there.
    """
    aws = aws or session.current()
    began, told = time.monotonic(), ""
    latest: Endpoint | None = None

    def settled() -> Endpoint | None:
        nonlocal latest, told
        latest = describe(name, aws)
        if latest is None:
            raise AwsError(
                f"there is no endpoint '{name}' in {aws.region}", "workshop status shows what there is"
            )
        if str(latest) != told:
            told = str(latest)
            on_line(f"{moment(time.monotonic() - began)}  {told}")
        return latest if latest.status in ("InService", *BROKEN) else None

    ended = waiting.until(
        settled,
        timeout_seconds,
        f"endpoint {name} to be in service",
        lambda: latest.status if latest else "",
        longest_pause_seconds=LONGEST_PAUSE_SECONDS[aws.target],
    )
    if ended.reason or ended.status in BROKEN:
        raise AwsError(
            f"endpoint {name} is {ended.status}: {ended.reason or 'SageMaker gives no reason'}",
            f"its log says why: workshop.aws.logs.tail('{log_group(name)}')",
        )
    return ended


def log_group(name: str) -> str:
    """Where the containers of an endpoint write."""
    return f"/aws/sagemaker/Endpoints/{name}"


def predict(
    name: str,
    rows: Iterable[Sequence[float]],
    batch_rows: int = BATCH_ROWS,
    variant: str = "",
    aws: Aws | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Ask a Linear Learner endpoint; rows: the features in their order, without the label.

    variant: one of the endpoint's, instead of the one that its weights choose.
    Returns: scores float64 (N,), the probability of label 1; labels int64 (N,), by the model's own threshold.
    Errors: AwsError with the container's own words.
    """
    aws = aws or session.current()
    client = aws.client("sagemaker-runtime")
    request = {"EndpointName": name, **linear_learner.ACCEPTED}
    if variant:
        request["TargetVariant"] = variant
    scores: list[float] = []
    labels: list[int] = []
    for body, count in linear_learner.bodies(rows, batch_rows):
        with explained(f"ask the endpoint {name}"):
            answer = client.invoke_endpoint(**request, Body=body)["Body"].read()
        fresh_scores, fresh_labels = linear_learner.predictions(answer, count, name)
        scores += fresh_scores
        labels += fresh_labels
    return np.array(scores, dtype=np.float64), np.array(labels, dtype=np.int64)


def remove(name: str, aws: Aws | None = None, on_line: Callable[[str], None] = print) -> list[str]:
    """Delete the endpoint, its configurations and their models, each if it is there; what was deleted.

    Its configurations are the one it uses and those that are named after it; what another endpoint or configuration
    of the course uses stays. SageMaker deletes no endpoint that is being made or changed: that is waited for.
    """
    aws = aws or session.current()
    sagemaker, removed = aws.client("sagemaker"), []
    every = sagemaker_names.of("endpoint configuration", aws)
    others = {each.configuration for each in endpoints(aws) if each.name != name}
    configurations = {each for each in every if each == name or each.startswith(f"{name}-")} - others
    if found := _settled(name, aws):
        configurations |= {found.configuration} - others
        if found.status != "Deleting":
            with explained(f"delete the endpoint {name}"):
                sagemaker.delete_endpoint(EndpointName=name)
        gone = f"endpoint {name} to be gone"
        waiting.until(lambda: describe(name, aws) is None, DELETE_TIMEOUT_SECONDS, gone)
        removed.append(f"endpoint {name}")
    kept = {model for each in every if each not in configurations for model in _models(each, aws)}
    models = {model for each in configurations for model in _models(each, aws)}
    for each in sorted(configurations):
        if sagemaker_names.described("describe_endpoint_config", aws, EndpointConfigName=each) is not None:
            with explained(f"delete the endpoint configuration {each}"):
                sagemaker.delete_endpoint_config(EndpointConfigName=each)
            removed.append(f"endpoint configuration {each}")
    for model in sorted(models - kept):
        if sagemaker_names.described("describe_model", aws, ModelName=model) is not None:
            with explained(f"delete the model {model}"):
                sagemaker.delete_model(ModelName=model)
            removed.append(f"model {model}")
    for line in removed:
        on_line(f"deleted {line}")
    return removed


def _settled(name: str, aws: Aws) -> Endpoint | None:
    """The endpoint once nothing is being done to it; None if there is none."""
    found: Endpoint | None = None

    def quiet() -> bool:
        nonlocal found
        found = describe(name, aws)
        return found is None or found.status in ("InService", "Deleting", *BROKEN)

    waiting.until(quiet, CREATE_TIMEOUT_SECONDS, f"endpoint {name} to settle")
    return found


def endpoints(aws: Aws | None = None) -> list[Endpoint]:
    """The course's endpoints, whatever their state: those that its name is the beginning of."""
    aws = aws or session.current()
    found = (describe(each, aws) for each in sagemaker_names.of("endpoint", aws))
    return [each for each in found if each is not None]


def instances(endpoint: Endpoint, aws: Aws | None = None) -> list[tuple[str, int]]:
    """(type, how many) of the instances that an endpoint is paid for, by variant."""
    aws = aws or session.current()
    entry = (
        sagemaker_names.described("describe_endpoint_config", aws, EndpointConfigName=endpoint.configuration)
        or {}
    )
    running = {name: max(now, wanted) for name, now, wanted, _ in endpoint.variants}
    return [
        (each["InstanceType"], running.get(each["VariantName"], int(each.get("InitialInstanceCount", 1))))
        for each in entry.get("ProductionVariants", [])
        if "InstanceType" in each
    ]


def _models(configuration: str, aws: Aws) -> list[str]:
    entry = sagemaker_names.described("describe_endpoint_config", aws, EndpointConfigName=configuration) or {}
    return [each["ModelName"] for each in entry.get("ProductionVariants", []) if "ModelName" in each]

"""CloudFormation types of SageMaker: models, endpoint configurations, endpoints, model package groups.

Try it:  python -m pytest tests/local/test_sagemaker_stacks.py
Each is sent through the call that an API client would make. As the resource reference says, Ref is the ARN, and only
an endpoint's configuration and everybody's tags change in place. An endpoint is made, or changed, once it is in
service.
"""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from localaws.cloudformation import provisioning
from localaws.cloudformation.provisioning import Made, Properties, failed, physical_name, request
from localaws.ecs import hooks as server
from localaws.sagemaker import hooks as sagemaker
from localaws.sagemaker.calls import SERVICE
from localaws.sagemaker.refusals import unsupported

LONGEST_NAME = 63
MOST_SECONDS = 3 * 3600.0  # longer than SageMaker tries to start an endpoint's containers
LOOK_SECONDS = 0.1
# "Update requires: Replacement" in the resource reference.
MODEL = (
    "Containers",
    "EnableNetworkIsolation",
    "ExecutionRoleArn",
    "InferenceExecutionConfig",
    "PrimaryContainer",
    "VpcConfig",
)
CONFIG = (
    "AsyncInferenceConfig",
    "DataCaptureConfig",
    "EnableNetworkIsolation",
    "ExecutionRoleArn",
    "ExplainerConfig",
    "KmsKeyId",
    "MetricsConfig",
    "ProductionVariants",
    "ShadowProductionVariants",
    "VpcConfig",
)
GROUP = ("ModelPackageGroupDescription",)


@dataclass(frozen=True)
class Type:
    """A type of SageMaker's. noun: as in CreateModel; replacing: properties whose change is another resource."""

    noun: str
    replacing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.noun}Name"

    @property
    def arn(self) -> str:
        return f"{self.noun}Arn"

    def install(self) -> None:
        """Put it into ministack's table."""
        type_name = f"AWS::SageMaker::{self.noun}"
        provisioning.add(type_name, self.create, self.delete, self.update)
        provisioning.replaced(type_name, self.name, (self.name, *self.replacing))
        provisioning.tagged(type_name)
        provisioning.off_the_loop(type_name)

    def create(self, logical_id: str, properties: Properties, stack_name: str) -> Made:
        given = request(f"Create{self.noun}", {**properties, "Tags": _tags(properties)}, SERVICE)
        given.setdefault(self.name, physical_name(stack_name, logical_id, LONGEST_NAME))
        arn = _call(f"Create{self.noun}", given)[self.arn]
        return self.made(arn, given[self.name])

    def made(self, arn: str, name: str) -> Made:
        return arn, {self.arn: arn, self.name: name}

    def update(
        self, arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str
    ) -> Made:
        _retag(arn, before, after)
        # The ARN has the name in lower case alone.
        return self.made(arn, _call(f"Describe{self.noun}", {self.name: _last(arn)})[self.name])

    def delete(self, arn: str, properties: Properties) -> None:
        _call(f"Delete{self.noun}", {self.name: _last(arn)}, missing_is_fine=True)


class EndpointType(Type):
    """Takes another configuration in place, and is waited for."""

    def create(self, logical_id: str, properties: Properties, stack_name: str) -> Made:
        arn, attributes = super().create(logical_id, properties, stack_name)
        try:
            _wait(_last(arn), str(properties["EndpointConfigName"]))
        except provisioning.ResourceFailed:
            # A resource that could not be made has no physical id here, so a rollback would not find it.
            self.delete(arn, properties)
            raise
        return arn, attributes

    def update(
        self, arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str
    ) -> Made:
        if any(before.get(name) != after.get(name) for name in {*before, *after} - {"Tags"}):
            given = request("UpdateEndpoint", after, SERVICE) | {self.name: _last(arn)}
            _call("UpdateEndpoint", given)
            _wait(_last(arn), str(after["EndpointConfigName"]))
        return super().update(arn, before, after, stack_name, logical_id)

    def delete(self, arn: str, properties: Properties) -> None:
        super().delete(arn, properties)
        while _describe(_last(arn)) and not server.is_closing():
            _pause()


class GroupType(Type):
    """May have no policy: the local SageMaker has none, and says so before anything is made."""

    def create(self, logical_id: str, properties: Properties, stack_name: str) -> Made:
        _refuse_policy(properties)
        return super().create(logical_id, properties, stack_name)

    def made(self, arn: str, name: str) -> Made:
        described = _call("DescribeModelPackageGroup", {self.name: name})
        shown = {each: str(described[each]) for each in ("CreationTime", "ModelPackageGroupStatus")}
        return arn, {**super().made(arn, name)[1], **shown}

    def update(
        self, arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str
    ) -> Made:
        _refuse_policy(after)
        return super().update(arn, before, after, stack_name, logical_id)


def _refuse_policy(properties: Properties) -> None:
    if properties.get("ModelPackageGroupPolicy"):
        raise failed(unsupported("policies of model package groups (ModelPackageGroupPolicy)").message)


def install() -> None:
    """Put the types into ministack's table."""
    types = (
        Type("Model", MODEL),
        Type("EndpointConfig", CONFIG),
        EndpointType("Endpoint"),
        GroupType("ModelPackageGroup", GROUP),
    )
    for each in types:
        each.install()


def _wait(name: str, config: str) -> None:
    """Return when the endpoint is in service with that configuration.

    Errors: ResourceFailed with SageMaker's reason if it is not going to be.
    """
    end = time.monotonic() + MOST_SECONDS
    while time.monotonic() < end:
        if server.is_closing():  # a thread that waits on would hold up the server's end
            raise failed("The local AWS was stopped", "NotStabilized")
        now = _describe(name)
        if now is None:
            raise failed(f"Endpoint {name} was deleted", "NotStabilized")
        if now["EndpointStatus"] == "InService" and now["EndpointConfigName"].lower() == config.lower():
            return
        if not now["EndpointStatus"].endswith("ing"):  # Failed, or an update that was rolled back
            raise failed(
                now.get("FailureReason") or f"Endpoint {name} is {now['EndpointStatus']}", "NotStabilized"
            )
        _pause()
    raise failed("Exceeded attempts to wait", "NotStabilized")


def _describe(name: str) -> dict[str, Any] | None:
    return _call("DescribeEndpoint", {"EndpointName": name}, missing_is_fine=True) or None


def _pause() -> None:
    threading.Event().wait(LOOK_SECONDS)


def _retag(arn: str, before: Properties, after: Properties) -> None:
    wanted = {each["Key"]: each["Value"] for each in _tags(after)}
    had = {each["Key"]: each["Value"] for each in _tags(before)}
    if gone := [key for key in had if key not in wanted]:
        _call("DeleteTags", {"ResourceArn": arn, "TagKeys": gone})
    if new := [{"Key": key, "Value": value} for key, value in wanted.items() if had.get(key) != value]:
        _call("AddTags", {"ResourceArn": arn, "Tags": new})


def _tags(properties: Properties) -> list[dict[str, str]]:
    """Without those that CloudFormation itself sets: nobody else may set any that begin with aws:."""
    given = properties.get("Tags") or []
    return [
        {"Key": each["Key"], "Value": str(each.get("Value", ""))}
        for each in given
        if not each["Key"].startswith("aws:")
    ]


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]


def _call(operation: str, given: dict[str, Any], missing_is_fine: bool = False) -> dict[str, Any]:
    status, body = sagemaker.answer(operation, given)
    answer: dict[str, Any] = json.loads(body or b"{}")
    if status < 400:
        return answer
    message = str(answer.get("message", answer))
    if missing_is_fine and ("Could not find" in message or "does not exist" in message):
        return {}
    raise failed(message, "InvalidRequest" if status == 400 else "GeneralServiceException")

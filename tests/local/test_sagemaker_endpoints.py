"""Endpoints from creation to deletion: states, containers, updates without a lost request, restarts of the server."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from conftest import refused
from ecs_world import wait_until
from hosting_world import BUCKET, HostingWorld, hosting, packed

PING_FAILED = (
    "The primary container for production variant AllTraffic did not pass the ping health check. Please check "
    "CloudWatch logs for this endpoint."
)
SOON: Any = {"Delay": 0.1, "MaxAttempts": 200}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingWorld]:
    with hosting(tmp_path_factory.mktemp("endpoints")) as made:
        yield made


class Callers:
    """Invokes an endpoint again and again, from several threads, and keeps what went wrong."""

    def __init__(self, aws: HostingWorld, name: str, count: int = 3) -> None:
        self.aws, self.name = aws, name
        self.wrong: list[Exception] = []
        self.answers: set[str] = set()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._call) for _ in range(count)]

    def _call(self) -> None:
        while not self.ended.is_set():
            try:
                self.answers.add(self.aws.invoke(self.name, "model"))
            except Exception as error:
                self.wrong.append(error)

    def __enter__(self) -> "Callers":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()


def test_an_endpoint_serves_its_model_with_its_environment_and_says_what_it_runs(aws: HostingWorld) -> None:
    name = aws.endpoint({"ModelName": aws.model("forty-two", COLOUR="green")})
    assert aws.invoke(name, "model") == "forty-two"
    assert aws.invoke(name, "env COLOUR") == "green"
    found = aws.described(name)
    assert found["EndpointArn"] == f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}"
    (variant,) = found["ProductionVariants"]
    (image,) = variant["DeployedImages"]
    assert image["SpecifiedImage"] == aws.image
    assert image["ResolvedImage"].startswith(aws.image.removesuffix(":latest") + "@sha256:")
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"], variant["DesiredWeight"]) == (1, 1, 1)
    listed = aws.sagemaker.list_endpoints(NameContains=name, StatusEquals="InService")["Endpoints"]
    assert [each["EndpointArn"] for each in listed] == [found["EndpointArn"]]
    assert "listening on" in aws.lines(name)[0]
    streams = aws.logs.describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{name}")["logStreams"]
    assert [each["logStreamName"].startswith("AllTraffic/i-") for each in streams] == [True]


def test_a_container_acts_with_its_models_role_and_finds_this_aws(aws: HostingWorld) -> None:
    name = aws.endpoint()
    for variable in ("AWS_ENDPOINT_URL", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_REGION"):
        assert aws.invoke(name, f"env {variable}"), variable


def test_every_instance_that_was_asked_for_runs_and_answers(aws: HostingWorld) -> None:
    name = aws.endpoint({"InitialInstanceCount": 3})
    assert aws.described(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    answers: set[str] = set()
    wait_until(lambda: answers.add(aws.invoke(name)) or len(answers) == 3)


def test_boto3s_waiters_see_an_endpoint_come_and_go(aws: HostingWorld) -> None:
    name = aws.endpoint(wait=False)
    aws.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=SOON)
    before = aws.pids()
    aws.sagemaker.delete_endpoint(EndpointName=name)
    aws.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=SOON)
    assert refused(aws.invoke, name=name) == (
        "ValidationError",
        f"Endpoint {name} of account 123456789012 not found.",
    )
    assert len(before - aws.pids()) == 1


@pytest.mark.parametrize(
    ("artefact", "reason"),
    [
        (
            None,
            'Failed to download model data for container "primary" from URL: "{}". Please ensure that there',
        ),
        (b"no archive", 'Failed to extract model data archive for container "primary" from URL "{}"'),
        (packed({"../../out.txt": "x"}), 'Failed to extract model data archive for container "primary"'),
    ],
)
def test_an_endpoint_whose_artefact_is_lost_or_damaged_fails_with_awss_reason(
    aws: HostingWorld, artefact: bytes | None, reason: str
) -> None:
    model = aws.model()
    url = aws.sagemaker.describe_model(ModelName=model)["PrimaryContainer"]["ModelDataUrl"]
    place = {"Bucket": BUCKET, "Key": url.removeprefix(f"s3://{BUCKET}/")}
    if artefact is None:
        aws.s3.delete_object(**place)
    else:
        aws.s3.put_object(**place, Body=artefact)
    name = aws.endpoint({"ModelName": model}, wait=False)
    assert aws.settled(name, "Failed")["FailureReason"].startswith(reason.format(url))
    aws.sagemaker.delete_endpoint(EndpointName=name)
    aws.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=SOON)


def test_an_endpoint_whose_container_ends_fails_with_awss_reason_and_its_log_says_why(
    aws: HostingWorld,
) -> None:
    before = aws.pids()
    name = aws.endpoint({"ModelName": aws.model(BROKEN="exit"), "InitialInstanceCount": 2}, wait=False)
    assert aws.settled(name, "Failed")["FailureReason"] == PING_FAILED
    assert "no model here" in aws.lines(name)
    assert refused(aws.invoke, name=name)[0] == "ValidationError"
    assert refused(aws.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=aws.config()) == (
        "ValidationException",
        f'Cannot update failed endpoint "{aws.described(name)["EndpointArn"]}".',
    )
    assert aws.pids() == before


def test_what_is_in_progress_is_not_changed(aws: HostingWorld) -> None:
    name = aws.endpoint({"ModelName": aws.model(BROKEN="ping")}, wait=False)
    arn = aws.described(name)["EndpointArn"]
    said = ("ValidationException", f'Cannot update in-progress endpoint "{arn}".')
    assert aws.described(name)["EndpointStatus"] == "Creating"
    assert refused(aws.sagemaker.delete_endpoint, EndpointName=name) == said
    given = {"EndpointName": name, "EndpointConfigName": aws.config()}
    assert refused(aws.sagemaker.update_endpoint, **given) == said
    wishes = [{"VariantName": "AllTraffic", "DesiredWeight": 2}]
    resize = aws.sagemaker.update_endpoint_weights_and_capacities
    assert refused(resize, EndpointName=name, DesiredWeightsAndCapacities=wishes) == said
    assert refused(aws.invoke, name=name)[0] == "ValidationError"


def test_an_update_loses_no_invocation_and_ends_what_served_before(aws: HostingWorld) -> None:
    name = aws.endpoint({"ModelName": aws.model("old"), "InitialInstanceCount": 2})
    before = aws.pids()
    with Callers(aws, name) as callers:
        wait_until(lambda: callers.answers)
        config = aws.config({"ModelName": aws.model("new")})
        aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
        found = aws.described(name)
        if found["EndpointStatus"] == "Updating" and "PendingDeploymentSummary" in found:
            assert found["PendingDeploymentSummary"]["EndpointConfigName"] == config
        found = aws.settled(name)
        callers.answers.clear()
        wait_until(lambda: callers.answers)
    assert callers.wrong == []
    assert callers.answers == {"new"}
    assert found["EndpointConfigName"] == config
    assert "PendingDeploymentSummary" not in found
    assert len(before - aws.pids()) == 2


def test_a_long_invocation_is_answered_by_what_an_update_takes_away(aws: HostingWorld) -> None:
    name = aws.endpoint()
    answers: list[str] = []
    caller = threading.Thread(target=lambda: answers.append(aws.invoke(name, "sleep 2")))
    caller.start()
    wait_until(lambda: any("invoked" in each for each in aws.lines(name)))
    aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=aws.config())
    aws.settled(name)
    caller.join()
    assert answers == ["sleep 2"]


def test_after_the_switch_the_old_containers_stay_as_long_as_was_asked_for(aws: HostingWorld) -> None:
    name = aws.endpoint({"ModelName": aws.model("old")})
    before = aws.pids()
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 2}
    aws.sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=aws.config({"ModelName": aws.model("new")}),
        DeploymentConfig={"BlueGreenUpdatePolicy": policy},
    )
    wait_until(lambda: aws.invoke(name, "model") == "new")
    assert aws.described(name)["EndpointStatus"] == "Updating"
    assert before <= aws.pids()
    assert aws.settled(name)["LastDeploymentConfig"] == {"BlueGreenUpdatePolicy": policy}
    assert len(before - aws.pids()) == 1


def test_an_update_that_fails_leaves_what_serves(aws: HostingWorld) -> None:
    name = aws.endpoint({"ModelName": aws.model("old")})
    config = aws.described(name)["EndpointConfigName"]
    with Callers(aws, name) as callers:
        broken = aws.config({"ModelName": aws.model(BROKEN="exit")})
        aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=broken)
        found = aws.settled(name)
    assert callers.wrong == []
    assert callers.answers == {"old"}
    assert (found["EndpointConfigName"], found["FailureReason"]) == (config, PING_FAILED)
    aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=aws.config())
    assert "FailureReason" not in aws.settled(name)


def test_weights_and_numbers_of_instances_change_while_it_serves(aws: HostingWorld) -> None:
    a, b = ({"VariantName": each, "ModelName": aws.model(each)} for each in "ab")
    name = aws.endpoint(a, b)
    with Callers(aws, name) as callers:
        wishes = [
            {"VariantName": "a", "DesiredWeight": 0},
            {"VariantName": "b", "DesiredInstanceCount": 2},
        ]
        aws.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=wishes
        )
        found = {each["VariantName"]: each for each in aws.settled(name)["ProductionVariants"]}
        callers.answers.clear()
        wait_until(lambda: callers.answers)
    assert callers.wrong == []
    assert callers.answers == {"b"}
    assert (found["a"]["CurrentWeight"], found["b"]["CurrentInstanceCount"]) == (0, 2)
    assert aws.invoke(name, "model", TargetVariant="a") == "a"
    wishes = [{"VariantName": "b", "DesiredInstanceCount": 1}]
    aws.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=wishes
    )
    found = {each["VariantName"]: each for each in aws.settled(name)["ProductionVariants"]}
    assert found["b"]["CurrentInstanceCount"] == 1
    missing = [{"VariantName": "c", "DesiredWeight": 1}]
    resize = aws.sagemaker.update_endpoint_weights_and_capacities
    code, message = refused(resize, EndpointName=name, DesiredWeightsAndCapacities=missing)
    assert (code, '"c"' in message) == ("ValidationException", True)


def test_variants_keep_weights_and_counts_over_an_update_that_says_so(aws: HostingWorld) -> None:
    name = aws.endpoint({"InitialInstanceCount": 2})
    aws.sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=aws.config({"InitialVariantWeight": 7}),
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    (variant,) = aws.settled(name)["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (2, 7)


def killed(aws: HostingWorld, name: str) -> None:
    """Have a container end in an invocation; returns when its process is gone, and nobody listens any more."""
    before = aws.pids()
    with pytest.raises(aws.runtime.exceptions.ModelError):
        aws.invoke(name, "die")
    wait_until(lambda: before - aws.pids())


def test_a_container_that_ends_is_replaced_and_the_endpoint_stays_in_service(aws: HostingWorld) -> None:
    name = aws.endpoint()
    before = aws.invoke(name)
    killed(aws, name)
    assert aws.described(name)["EndpointStatus"] == "InService"

    def another_answers() -> bool:
        try:
            return aws.invoke(name) != before
        except aws.runtime.exceptions.ServiceUnavailable:
            return False  # the client has tried again, and gave up before a busy machine had another

    wait_until(another_answers)
    assert aws.described(name)["EndpointStatus"] == "InService"


def test_while_one_instance_is_replaced_the_other_answers(aws: HostingWorld) -> None:
    name = aws.endpoint({"InitialInstanceCount": 2})
    killed(aws, name)
    config = Config(retries={"total_max_attempts": 1})
    address = f"http://127.0.0.1:{aws.port}"
    session = boto3.Session("local", "local", region_name="us-east-1")
    once = session.client("sagemaker-runtime", config=config, endpoint_url=address)
    for _ in range(20):
        once.invoke_endpoint(EndpointName=name, Body="who")


@pytest.mark.parametrize(
    ("rollout", "what"),
    [
        (
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                    "WaitIntervalInSeconds": 0,
                }
            },
            "rolling",
        ),
        ({"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}}, "rollback by alarms"),
        (
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {"Type": "LINEAR", "WaitIntervalInSeconds": 1}
                }
            },
            "LINEAR",
        ),
    ],
)
def test_ways_of_deployment_that_are_not_here_are_refused_by_name(
    aws: HostingWorld, rollout: dict[str, Any], what: str
) -> None:
    given = {"EndpointName": "never", "EndpointConfigName": "none", "DeploymentConfig": rollout}
    code, message = refused(aws.sagemaker.create_endpoint, **given)
    assert (code, what in message) == ("UnsupportedOperation", True)


def test_events_tell_of_each_state(aws: HostingWorld) -> None:
    events, sqs = aws.client("events"), aws.client("sqs")
    queue = sqs.create_queue(QueueName="states")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": [{"prefix": "SageMaker Endpoint "}]}
    events.put_rule(Name="states", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="states", Targets=[{"Id": "q", "Arn": arn}])
    name = aws.endpoint()
    aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=aws.config())
    aws.settled(name)
    aws.sagemaker.delete_endpoint(EndpointName=name)
    found: list[tuple[str, str]] = []

    def received() -> bool:
        for each in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages") or []:
            event = json.loads(each["Body"])
            if event["detail"].get("EndpointName") == name:
                found.append((event["detail-type"], event["detail"]["EndpointStatus"]))
                assert event["detail"]["CreationTime"] > 1e12
        return any(status == "DELETING" for _, status in found)

    wait_until(received)
    states = [status for kind, status in found if kind == "SageMaker Endpoint State Change"]
    assert sorted(set(states)) == ["CREATING", "DELETING", "IN_SERVICE"]
    assert ("SageMaker Endpoint Deployment State Change", "UPDATING") in found

"""The stack of lab 8 as a stranger uses it: a survey over HTTP, with a key, to an endpoint and back."""

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from course_world import course
from ecs_world import wait_until
from predicting_server import deploy_endpoint, serve

from workshop.aws import apis, stacks
from workshop.aws.session import Aws

pytestmark = pytest.mark.local
SURVEY = [1, 1, 48, 1, 2, 821, *[3] * 14, 2, 5]
COLUMNS = {"columns": [{"name": "Age", "kind": "number", "low": 1, "high": 120, "mean": 39.4}]}


def survey(first: int = 1) -> str:
    return ",".join(map(str, [first, *SURVEY[1:]]))


class Asker:
    """Somebody who has the address and perhaps the key."""

    def __init__(self, aws: Aws) -> None:
        self.aws, self.outputs = aws, stacks.outputs("satisfaction", aws)
        found = aws.client("apigateway").get_api_key(apiKey=self.outputs["ApiKeyId"], includeValue=True)
        self.key = found["value"]
        self.address = apis.url(aws=aws)

    def ask(self, body: Any, path: str = "/predict", **headers: str) -> tuple[int, dict[str, str], Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json", "x-api-key": self.key, **headers}
        request = urllib.request.Request(self.address + path, content, given)
        with contextlib.closing(opened(request)) as answer:
            return answer.status, dict(answer.headers), json.loads(answer.read())

    def error(self, body: Any) -> tuple[int, str]:
        status, _, answered = self.ask(body)
        return status, answered["error"]


def opened(request: urllib.request.Request | str) -> Any:
    """An answer, whatever its status."""
    try:
        return urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as refused:
        return refused


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with course(tmp_path_factory.mktemp("satisfaction"), metric_seconds=1.0) as made:
        stacks.deploy("storage", aws=made)
        stacks.deploy("satisfaction", aws=made)
        yield made


@pytest.fixture(scope="module")
def asker(aws: Aws) -> Asker:
    return Asker(aws)


@pytest.fixture(scope="module")
def endpoint(aws: Aws, asker: Asker) -> str:
    return deploy_endpoint(aws)


@contextlib.contextmanager
def other_environment(asker: Asker, **variables: str) -> Iterator[None]:
    """The function with other variables, and with its own again."""
    functions, function = asker.aws.client("lambda"), asker.outputs["PredictFunctionName"]
    own = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]

    def change(to: dict[str, str]) -> None:
        functions.update_function_configuration(FunctionName=function, Environment={"Variables": to})

    change({**own, **variables})
    try:
        yield
    finally:
        change(own)


def log_lines(asker: Asker) -> list[dict[str, Any]]:
    """What the function has said, oldest first."""
    group = asker.outputs["PredictLogGroup"]
    found = asker.aws.client("logs").filter_log_events(logGroupName=group)["events"]
    lines = [each["message"].strip() for each in found]
    return [json.loads(line) for line in lines if line.startswith("{")]


# ---- before there is an endpoint ----------------------------------------------------------------------------------


def test_without_an_endpoint_a_survey_is_a_503_that_says_so(asker: Asker) -> None:
    status, headers, body = asker.ask({"data": survey()})
    assert (status, headers["Retry-After"]) == (503, "5")
    assert body["error"] == f"the endpoint {asker.outputs['EndpointName']} is not in service"


def test_the_form_comes_once_columns_json_is_there(aws: Aws, asker: Asker) -> None:
    bucket = stacks.outputs("storage", aws)["InputBucket"]
    with contextlib.closing(opened(asker.address + "/")) as page:
        assert page.status == 503 and f"s3://{bucket}/satisfaction/columns.json" in page.read().decode()
    content = json.dumps(COLUMNS).encode()
    aws.client("s3").put_object(Bucket=bucket, Key="satisfaction/columns.json", Body=content)
    for path in ("", "/"):
        with contextlib.closing(opened(asker.address + path)) as page:
            assert page.status == 200 and '"name": "Age"' in page.read().decode()
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")


# ---- with one -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "label"), [(0, "neutral or dissatisfied"), (1, "satisfied")])
def test_a_survey_gets_its_label_through_api_function_and_endpoint(
    asker: Asker, endpoint: str, first: int, label: str
) -> None:
    for body in ({"data": survey(first)}, {"features": [first, *SURVEY[1:]]}):
        status, _, answered = asker.ask(body)
        assert status == 200
        assert (answered["prediction"], answered["label"]) == (first, label)
        assert answered["score"] == 0.25 + first / 2 and 0 < answered["modelLatencyMs"] < 10_000
        assert log_lines(asker)[-1]["requestId"] == answered["requestId"]


def test_a_thousand_surveys_get_a_thousand_answers(asker: Asker, endpoint: str) -> None:
    firsts = [number % 2 for number in range(1000)]
    status, _, answered = asker.ask({"data": "\n".join(map(survey, firsts))})
    assert status == 200
    assert [each["prediction"] for each in answered["predictions"]] == firsts


def test_called_directly_the_function_answers_the_label_alone(aws: Aws, asker: Asker, endpoint: str) -> None:
    called = aws.client("lambda").invoke(
        FunctionName=asker.outputs["PredictFunctionName"], Payload=json.dumps({"data": survey(1)})
    )
    assert "FunctionError" not in called and called["Payload"].read() == b"1"


def test_without_the_key_nobody_is_answered(asker: Asker, endpoint: str) -> None:
    for key in ("", "0" * 40):
        status, _, answered = asker.ask({"data": survey()}, **{"x-api-key": key})
        assert (status, answered) == (403, {"message": "Forbidden"})


NO_REQUESTS: list[Any] = [
    *(b"", b"{", b"1,2", {}, {"text": "1"}, {"data": ""}, {"data": 1}),
    *({"features": []}, {"features": ["1"]}, {"features": [None]}, b'{"features": [NaN]}'),
    {"data": survey(), "features": SURVEY},
]


@pytest.mark.parametrize("body", NO_REQUESTS, ids=repr)
@pytest.mark.parametrize("content_type", ["application/json", "text/csv"])
def test_what_has_not_the_form_of_a_request_is_refused_by_the_api(
    asker: Asker, body: Any, content_type: str
) -> None:
    status, _, answered = asker.ask(body, **{"Content-Type": content_type})
    assert (status, answered) == (400, {"message": "Invalid request body"})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"features": SURVEY[1:]}, "survey 1 has 21 values, not 22"),
        ({"data": "Gender," + survey().partition(",")[2]}, "survey 1, value 1 is 'Gender', not a number"),
        ({"data": survey() + ",satisfied"}, "survey 1 has 23 values, not 22; the label"),
        ({"data": survey().replace("821", "nan")}, "survey 1, value 6 is 'nan', not a number"),
    ],
)
def test_what_has_the_form_and_is_no_survey_is_refused_with_the_reason(
    asker: Asker, body: Any, reason: str
) -> None:
    status, told = asker.error(body)
    assert status == 400 and told.startswith(reason)


def test_a_body_of_10_megabytes_is_refused_by_the_api(asker: Asker) -> None:
    status, _, answered = asker.ask({"data": "1" * 10 * 1024 * 1024})
    assert (status, answered) == (413, {"message": "Request Too Long"})


def test_a_model_that_fails_is_a_502_whose_secret_stays_in_the_log(asker: Asker, endpoint: str) -> None:
    assert asker.error({"data": survey(500)}) == (502, "the model answered 500")
    assert log_lines(asker)[-1]["status"] == 502


def test_a_model_that_answers_nonsense_is_a_502(asker: Asker, endpoint: str) -> None:
    assert asker.error({"data": survey(700)})[0] == 502


def test_a_container_that_dies_costs_one_answer_and_is_started_again(asker: Asker, endpoint: str) -> None:
    assert asker.ask({"data": survey(800)})[0] in (502, 503)
    wait_until(lambda: asker.ask({"data": survey(1)})[0] == 200)


def test_the_function_may_ask_this_endpoint_and_no_other(aws: Aws, asker: Asker, endpoint: str) -> None:
    """Its role's own policy says so: under the boundary every endpoint of the course could be asked."""
    other, sagemaker = f"{aws.name}-other", aws.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=other, EndpointConfigName=endpoint)
    with other_environment(asker, ENDPOINT_NAME=other):
        assert asker.error({"data": survey()}) == (502, "the endpoint refused: AccessDeniedException")
        denied = log_lines(asker)[-1]["reason"]
    assert f"sagemaker:InvokeEndpoint on resource: arn:aws:sagemaker:{aws.region}" in denied
    assert f"endpoint/{other}" in denied
    sagemaker.delete_endpoint(EndpointName=other)
    assert asker.ask({"data": survey()})[0] == 200


def test_the_function_may_read_columns_json_and_nothing_beside_it(aws: Aws, asker: Asker) -> None:
    bucket = stacks.outputs("storage", aws)["InputBucket"]
    content = json.dumps(COLUMNS).encode()
    aws.client("s3").put_object(Bucket=bucket, Key="satisfaction/train/train.csv", Body=content)
    with other_environment(asker, COLUMNS_KEY="satisfaction/train/train.csv"):
        with contextlib.closing(opened(asker.address + "/")) as page:
            assert page.status == 503
        assert "AccessDenied" in log_lines(asker)[-1]["reason"]


@pytest.mark.parametrize("place", ["AssetsBucket/satisfaction/", "InputBucket/pictures/", "InputBucket/sat"])
def test_the_role_of_training_jobs_reads_its_own_data_alone(aws: Aws, endpoint: str, place: str) -> None:
    found, (output, _, prefix) = stacks.outputs(None, aws), place.partition("/")
    aws.client("s3").put_object(Bucket=found[output], Key=f"{prefix}x.csv", Body=b"1,2\n")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{found[output]}/{prefix}"}
    with pytest.raises(ClientError, match='"s3:ListBucket" permissions'):
        aws.client("sagemaker").create_training_job(
            TrainingJobName=f"{aws.name}-elsewhere",
            RoleArn=found["SageMakerRoleArn"],
            AlgorithmSpecification={
                "TrainingImage": found["MxnetRepositoryUri"] + ":latest",
                "TrainingInputMode": "File",
            },
            InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            OutputDataConfig={"S3OutputPath": f"s3://{found['ModelBucket']}/satisfaction"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )


def test_a_model_from_elsewhere_is_refused(aws: Aws, endpoint: str) -> None:
    found, sagemaker, name = stacks.outputs(None, aws), aws.client("sagemaker"), f"{aws.name}-elsewhere"
    aws.client("s3").put_object(Bucket=found["AssetsBucket"], Key="satisfaction/model.tar.gz", Body=b"")
    data = f"s3://{found['AssetsBucket']}/satisfaction/model.tar.gz"
    container = {"Image": found["MxnetRepositoryUri"] + ":latest", "ModelDataUrl": data}
    with pytest.raises(ClientError, match="Could not access model data"):
        sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=found["SageMakerRoleArn"], PrimaryContainer=container
        )


def test_an_endpoint_deleted_midway_is_a_503_and_comes_back(aws: Aws, asker: Asker, endpoint: str) -> None:
    sagemaker = aws.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=endpoint)
    wait_until(lambda: asker.ask({"data": survey()})[0] == 503)
    wait_until(lambda: not sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"])
    assert asker.error({"data": survey()}) == (503, f"the endpoint {endpoint} is not in service")
    serve(aws, endpoint)
    assert asker.ask({"data": survey()})[0] == 200


def test_alarms_tell_apart_who_failed(aws: Aws, asker: Asker, endpoint: str) -> None:
    """What went wrong above, and here: the API answered 5xx, the model failed, and the function never did."""
    for first in (500, 500, 500, 500, 500):
        assert asker.ask({"data": survey(first)})[0] == 502
    resources = {logical: physical for logical, _, physical in stacks.resources("satisfaction", aws)}
    cloudwatch = aws.client("cloudwatch")

    def raised() -> set[str]:
        history = cloudwatch.describe_alarm_history(HistoryItemType="StateUpdate")["AlarmHistoryItems"]
        named = {each["AlarmName"] for each in history if "to ALARM" in each["HistorySummary"]}
        return {logical for logical, physical in resources.items() if physical in named}

    wait_until(lambda: {"ApiErrorsAlarm", "ModelErrorsAlarm"} <= raised(), 60)
    assert raised() == {"ApiErrorsAlarm", "ModelErrorsAlarm"}


# ---- the stack itself ---------------------------------------------------------------------------------------------


def test_an_update_changes_the_limits_of_the_key_in_place(aws: Aws, asker: Asker) -> None:
    stacks.deploy("satisfaction", aws=aws, RequestsPerDay="4000")
    plan = aws.client("apigateway").get_usage_plan(usagePlanId=asker.outputs["UsagePlanId"])
    assert plan["quota"]["limit"] == 4000
    assert stacks.outputs("satisfaction", aws) == asker.outputs


def test_whoever_asks_too_often_is_told_to_wait_with_a_key_and_at_the_form(aws: Aws, asker: Asker) -> None:
    stacks.deploy("satisfaction", aws=aws, RequestsPerSecond="1", RequestsAtOnce="1")
    answers = [asker.ask({"data": survey()}) for _ in range(4)]
    refused = [(status, body) for status, _, body in answers if status == 429]
    assert refused and refused[0] == (429, {"message": "Too Many Requests"})
    statuses = []
    for _ in range(4):
        with contextlib.closing(opened(asker.address + "/")) as page:
            statuses.append(page.status)
    assert 429 in statuses and 200 in statuses


def test_deleted_it_leaves_no_api_no_key_and_no_alarm(aws: Aws, asker: Asker) -> None:
    """The last of the module: the stack is gone then."""
    began = time.monotonic()
    assert stacks.delete("satisfaction", aws=aws)
    gateway = aws.client("apigateway")
    assert gateway.get_rest_apis()["items"] == gateway.get_api_keys()["items"] == []
    assert gateway.get_usage_plans()["items"] == []
    assert aws.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    with contextlib.closing(opened(asker.address + "/")) as page:
        assert page.status in (403, 404)
    assert time.monotonic() - began < 30

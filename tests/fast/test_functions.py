"""The function behind an upload: one task for one version of one picture, and every refusal to be seen."""

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path

import boto3
import pytest
from botocore.stub import ANY, Stubber

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "functions" / "classify_upload.py"
TASK = "arn:aws:ecs:us-east-1:123456789012:task/course/0123"
ENVIRON = {
    "CLUSTER": "arn:aws:ecs:us-east-1:123456789012:cluster/course",
    "TASK_FAMILY": "jobs-tensorflow",
    "INPUT_BUCKET": "pictures",
    "OUTPUT_BUCKET": "results",
}


@pytest.fixture(scope="module")
def function():
    spec = importlib.util.spec_from_file_location("classify_upload", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ecs():
    """An ECS client that checks each request by its own model and answers what the test says."""
    client = boto3.client("ecs", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        client.stub = stub
        yield client


def event(key="cats/tom.jpg", bucket="pictures", version="v1", event_id="e1", **item):
    return {
        "id": event_id,
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {
            "bucket": {"name": bucket},
            "object": {"key": key, "version-id": version, "size": 9, **item},
        },
    }


def started(stub, request=ANY):
    wanted = request
    if wanted is ANY:
        wanted = {
            name: ANY
            for name in ("cluster", "taskDefinition", "count", "clientToken", "startedBy", "overrides")
        }
    stub.add_response("run_task", {"tasks": [{"taskArn": TASK}], "failures": []}, wanted)


class Recorder:
    """Stands in for the client where a test compares whole requests."""

    def __init__(self):
        self.requests = []

    def run_task(self, **request):
        self.requests.append(request)
        return {"tasks": [{"taskArn": TASK}], "failures": []}


def test_the_picture_and_the_bucket_reach_the_container_as_variables(function, ecs):
    recorder = Recorder()
    answer = function.start(event("cats/Tom und Jerry.JPG"), recorder, ENVIRON)
    (request,) = recorder.requests
    (container,) = request["overrides"]["containerOverrides"]
    assert container["name"] == "jobs-tensorflow"
    assert container["command"][:2] == ["run", "classify-images"]
    assert {"name": "IMAGEURL", "value": "s3://pictures/cats/Tom und Jerry.JPG"} in container["environment"]
    assert {"name": "OUTPUTBUCKET", "value": "results"} in container["environment"]
    assert container["command"][2:] == ["--output", answer["output"]]
    assert re.fullmatch(r"s3://results/runs/upload-[0-9a-f]{12}", answer["output"])
    assert answer["task"] == TASK
    started(ecs.stub, request)  # botocore's model takes the same request
    function.start(event("cats/Tom und Jerry.JPG"), ecs, ENVIRON)
    ecs.stub.assert_no_pending_responses()


def test_the_same_version_twice_is_the_same_request(function):
    recorder = Recorder()
    function.start(event(event_id="first delivery"), recorder, ENVIRON)
    function.start(event(event_id="second delivery"), recorder, ENVIRON)
    first, second = recorder.requests
    assert first == second


def test_another_version_key_or_bucket_is_another_task(function):
    recorder = Recorder()
    for each in (event(), event(version="v2"), event("cats/jerry.jpg")):
        function.start(each, recorder, ENVIRON)
    function.start(event(bucket="others"), recorder, {**ENVIRON, "INPUT_BUCKET": "others"})
    tokens = [request["clientToken"] for request in recorder.requests]
    assert len(set(tokens)) == 4
    assert all(re.fullmatch(r"[!-~]{1,64}", token) for token in tokens)
    assert all(re.fullmatch(r"[A-Za-z0-9_/-]{1,128}", each["startedBy"]) for each in recorder.requests)


def test_a_bucket_without_versions_still_tells_uploads_apart(function):
    recorder = Recorder()
    for sequencer in ("01", "02"):
        plain = event(sequencer=sequencer)
        del plain["detail"]["object"]["version-id"]
        function.start(plain, recorder, ENVIRON)
    first, second = recorder.requests
    assert first["clientToken"] != second["clientToken"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (event("notes.txt"), "none of .jpg"),
        (event("jpg"), "none of .jpg"),
        (event(size=0), "empty"),
        (event(bucket="elsewhere"), "watches 'pictures'"),
        ({**event(), "detail-type": "Object Deleted"}, "Object Deleted"),
        ({}, "no detail-type"),
        ({"detail-type": "Object Created", "detail": {}}, "Object Created"),
    ],
)
def test_what_the_rule_would_not_let_through_starts_nothing(function, wrong, reason):
    recorder = Recorder()
    with pytest.raises(function.UploadError, match=re.escape(reason)):
        function.start(wrong, recorder, ENVIRON)
    assert recorder.requests == []


def test_a_placement_failure_is_an_error_with_the_reason_of_ecs(function, ecs):
    failure = {"arn": "arn:aws:ecs:us-east-1:123456789012:container-instance/1", "reason": "RESOURCE:MEMORY"}
    ecs.stub.add_response("run_task", {"tasks": [], "failures": [failure]})
    with pytest.raises(function.UploadError, match="RESOURCE:MEMORY"):
        function.start(event(), ecs, ENVIRON)


def test_an_error_of_the_call_itself_is_not_swallowed(function, ecs):
    ecs.stub.add_client_error("run_task", "AccessDeniedException", "not authorized to perform: iam:PassRole")
    with pytest.raises(ecs.exceptions.ClientError, match="PassRole"):
        function.start(event(), ecs, ENVIRON)


def test_log_lines_are_json_and_name_picture_task_and_output(function, capsys):
    function.start(event("katze ä.png"), Recorder(), ENVIRON)
    before, after = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert before["what"] == "starting" and before["picture"] == "s3://pictures/katze ä.png"
    assert after["what"] == "started" and after["task"] == TASK and after["output"] == before["output"]


def test_every_function_needs_nothing_but_boto3_and_the_standard_library():
    for path in sorted(SOURCE.parent.glob("*.py")):
        tree = ast.parse(path.read_text())
        names = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        names |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        foreign = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
        assert foreign <= {"boto3", "botocore"}, path.name


def test_the_template_calls_the_handler_and_gives_it_its_variables():
    from workshop.aws import templates

    properties = templates.read(ROOT / "cloudformation" / "upload.yaml").resources["ClassifyFunction"][
        "Properties"
    ]
    module, _, name = properties["Handler"].partition(".")
    assert (SOURCE.parent / f"{module}.py").is_file()
    assert f"def {name}(event, context):" in SOURCE.read_text()
    assert set(properties["Environment"]["Variables"]) == set(ENVIRON)


def test_rule_and_function_agree_on_what_a_picture_is(function):
    from workshop.aws import templates

    pattern = templates.read(ROOT / "cloudformation" / "upload.yaml").resources["UploadRule"]["Properties"]
    keys = pattern["EventPattern"]["detail"]["object"]["key"]
    assert tuple(each["suffix"]["equals-ignore-case"] for each in keys) == function.PICTURES

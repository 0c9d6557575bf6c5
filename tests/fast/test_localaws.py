"""The parts of the local AWS that need no server."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import localaws
from localaws import daemon, front, parameters, snapshots
from localaws.cloudformation import provisioning, recovery, templates
from localaws.cloudformation.lint import Linter, Problem
from localaws.ecs.taskdefinitions import NOT_EMULATED

SIGNED = b"AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/%s/aws4_request, Signature=x"


@pytest.mark.parametrize("service", ["sagemaker", "s3", "elasticloadbalancing", "cognito-idp"])
def test_service_is_read_from_the_signature(service: str) -> None:
    assert front.signed_for({b"authorization": SIGNED % service.encode()}) == service


@pytest.mark.parametrize("header", [b"", b"Bearer abc", b"AWS4-HMAC-SHA256 Credential=local/x"])
def test_request_without_a_signature_names_no_service(header: bytes) -> None:
    assert front.signed_for({b"authorization": header}) is None


def test_refusal_names_the_service_in_the_protocol_of_the_request() -> None:
    status, kind, body = front.refusal("glue", b"application/x-amz-json-1.1")
    assert (status, kind) == (501, "application/json") and "glue" in json.loads(body)["message"]
    status, kind, body = front.refusal("rds", b"application/x-www-form-urlencoded; charset=utf-8")
    assert (status, kind) == (501, "text/xml") and b"<Code>UnsupportedOperation</Code>" in body


@pytest.mark.parametrize(
    ("method", "target", "body", "reads"),
    [
        ("GET", b"", b"", True),
        ("PUT", b"", b"", False),
        ("POST", b"AmazonEC2ContainerServiceV20141113.DescribeTasks", b"{}", True),
        ("POST", b"AmazonEC2ContainerServiceV20141113.RunTask", b"{}", False),
        ("POST", b"", b"Action=DescribeStacks&Version=2010-05-15", True),
        ("POST", b"", b"Version=2010-05-15&Action=CreateStack&StackName=DescribeStacks", False),
    ],
)
def test_only_requests_that_change_something_lead_to_a_snapshot(
    method: str, target: bytes, body: bytes, reads: bool
) -> None:
    assert front._only_reads(method, {b"x-amz-target": target}, body) is reads


@pytest.mark.parametrize("state", [{}, None, {"a": {}, "b": []}, {"next": 0, "items": {"x": []}}])
def test_state_without_content_is_empty(state: Any) -> None:
    assert snapshots.is_empty(state)


@pytest.mark.parametrize("state", [{"a": {"b": 1}}, {"a": ["x"]}, {"a": b"bytes"}])
def test_state_with_content_is_not_empty(state: Any) -> None:
    assert not snapshots.is_empty(state)


def test_restore_takes_the_snapshot_and_leaves_out_what_it_does_not_hold(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "sqs.json").write_text("old")
    for number in (3, 4):  # 3 was being replaced when the server was killed
        (tmp_path / f"snapshot-{number}").mkdir()
        (tmp_path / f"snapshot-{number}" / "s3.json").write_text(str(number))
    (tmp_path / "snapshot").symlink_to("snapshot-4")
    assert snapshots.restore(tmp_path)
    assert {path.name: path.read_text() for path in (tmp_path / "services").iterdir()} == {"s3.json": "4"}
    assert not (tmp_path / "snapshot-3").exists() and (tmp_path / "snapshot" / "s3.json").exists()


def test_restore_of_a_new_folder_finds_nothing(tmp_path: Path) -> None:
    assert snapshots.restore(tmp_path / "new") is False


def test_references_are_found_wherever_they_are_written() -> None:
    template = {
        "Parameters": {"P": {}},
        "Resources": {
            "A": {"Properties": {"X": {"Ref": "P"}, "Y": [{"Fn::GetAtt": ["Gone1", "Arn"]}]}},
            "B": {"Properties": {"X": {"Fn::Sub": "${A} ${Gone2.Arn} ${!Literal} ${AWS::Region}"}}},
            "C": {"Properties": {"X": {"Fn::Sub": ["${own} ${Gone3}", {"own": {"Ref": "AWS::Region"}}]}}},
        },
    }
    [problem] = templates.wrong_references(template)
    assert "[Gone1, Gone2, Gone3] in the Resources block" in problem


@pytest.mark.parametrize("template", [None, [], "text", {}, {"Resources": None}, {"Resources": {}}])
def test_template_without_resources_is_refused(template: Any) -> None:
    [problem] = templates.wrong_references(template)
    assert "At least one Resources member" in problem


def test_errors_are_worded_as_cloudformation_words_them() -> None:
    message = "Additional properties are not allowed ('Colour' was unexpected)"
    unknown = Problem("E3002", message, ("Resources", "B"))
    assert templates.worded(unknown) == "Encountered unsupported property Colour (at Resources/B)"
    missing = Problem("E3003", "'VpcId' is a required property", ("Resources", "S"))
    assert templates.worded(missing).startswith("Property VpcId cannot be empty")
    other = Problem("E3031", "'x' does not match", ("Resources",))
    assert "E3031" in templates.worded(other)


def test_properties_are_shaped_as_the_api_wants_them() -> None:
    properties = {
        "Family": "f",
        "Unknown": 1,
        "ContainerDefinitions": [
            {
                "Name": "a",
                "Memory": "128",
                "Essential": "true",
                "DockerLabels": {"KeepCase": "x"},
                "LogConfiguration": {"LogDriver": "awslogs", "Options": {"awslogs-group": "g", "Mode": 1}},
                "ResourceRequirements": [{"Type": "GPU", "Value": 1}],
            }
        ],
    }
    assert provisioning.request("RegisterTaskDefinition", properties) == {
        "family": "f",
        "containerDefinitions": [
            {
                "name": "a",
                "memory": 128,
                "essential": True,
                "dockerLabels": {"KeepCase": "x"},
                "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g", "Mode": "1"}},
                "resourceRequirements": [{"type": "GPU", "value": "1"}],
            }
        ],
    }


def test_linter_asks_once_for_each_template_and_starts_anew_when_its_process_died(tmp_path: Path) -> None:
    answers = tmp_path / "answers.py"
    answers.write_text(
        "import json, sys\n"
        "for number, line in enumerate(sys.stdin):\n"
        "    template = json.loads(line)['template']\n"
        "    if template == 'die': sys.exit(3)\n"
        "    print(json.dumps([['E1', f'{template} {number}', ['a']]]), flush=True)\n"
    )
    linter = Linter([sys.executable, str(answers)])
    try:
        assert linter.problems("t", "r") == linter.problems("t", "r") == [Problem("E1", "t 0", ("a",))]
        assert linter.problems("u", "r")[0].message == "u 1"
        with pytest.raises(RuntimeError, match="exit code 3"):
            linter.problems("die", "r")
        assert linter.problems("v", "r")[0].message == "v 0"
    finally:
        linter.close()


def test_interrupted_operation_is_told_as_failed() -> None:
    class Stacks(dict[str, Any]):
        all_values = dict.values

    class Service:
        _stacks = Stacks(
            a={"StackName": "a", "StackStatus": "UPDATE_IN_PROGRESS"},
            b={"StackName": "b", "StackStatus": "CREATE_COMPLETE"},
        )

    assert recovery.recover_stacks(Service) == ["a"]
    assert Service._stacks["a"]["StackStatus"] == "UPDATE_FAILED"
    assert Service._stacks["b"]["StackStatus"] == "CREATE_COMPLETE"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": "x"}'])
def test_damaged_state_file_means_no_server(tmp_path: Path, content: str) -> None:
    (tmp_path / "localaws.json").write_text(content)
    assert daemon.status(tmp_path) is None


def test_state_file_of_a_process_with_another_start_time_is_not_trusted(tmp_path: Path) -> None:
    running = {"pid": os.getpid(), "port": 1, "endpoint": "", "engine": "", "started_at": 5.0}
    (tmp_path / "localaws.json").write_text(json.dumps(running))
    assert daemon.status(tmp_path) is None


def test_gpu_image_parameter_is_among_the_public_ones() -> None:
    found = parameters.ecs_image_parameters()
    assert "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id" in found
    assert json.loads(found["/aws/service/ecs/optimized-ami/amazon-linux-2/recommended"])["image_id"]


def test_list_of_what_is_not_emulated_is_whole() -> None:
    """One list, in one docstring: what is refused elsewhere in the package is named there."""
    listed = " ".join((localaws.__doc__ or "").split())
    assert [name for name in NOT_EMULATED if name not in listed] == []
    plain = {"monitoring": "cloudwatch", "cognito-idp": "cognito", "cognito-identity": "cognito"}
    plain |= {"execute-api": "apigateway", "s3express": "s3", "resource-groups": "resource groups"}
    assert [name for name in front.EMULATED if plain.get(name, name) not in listed] == []

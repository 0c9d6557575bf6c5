"""Task definitions and the words for tasks that were not placed or did not end well, without any AWS."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from workshop.aws import task_definitions, task_failures, task_records
from workshop.aws.task_records import Task
from workshop.errors import AwsError

DEFINITION: dict[str, Any] = {
    "family": "job",
    "containerDefinitions": [
        {
            "name": "job",
            "image": "${RepositoryUri}:latest",
            "memory": 512,
            "environment": [{"name": "WHERE", "value": "${AWS_REGION} $HOME ${AWS_REGION}"}],
            "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/jobs"}},
        }
    ],
}


def task(**changes: Any) -> Task:
    stopped = Task(
        "arn:aws:ecs:r:1:task/c/abc", "c", "arn:aws:ecs:r:1:task-definition/job-gpu:7", "job", "STOPPED"
    )
    return replace(stopped, **changes)


def test_placeholders_are_filled_wherever_they_are():
    filled = task_definitions.fill(DEFINITION, {"RepositoryUri": "host/x", "AWS_REGION": "eu-west-3"})
    container = filled["containerDefinitions"][0]
    assert container["image"] == "host/x:latest"
    assert container["environment"][0]["value"] == "eu-west-3 $HOME eu-west-3"


def test_a_value_with_quotes_and_placeholders_of_its_own_is_taken_as_it_is():
    filled = task_definitions.fill({"family": "${A}"}, {"A": 'say "${B}"'})
    assert filled == {"family": 'say "${B}"'}


def test_every_placeholder_without_a_value_is_named():
    with pytest.raises(AwsError, match="AWS_REGION, RepositoryUri"):
        task_definitions.fill(DEFINITION, {})


def test_good_definition_has_no_problems():
    assert task_definitions.validate(DEFINITION) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"familly": "x"}, "familly"),
        ({"networkMode": "vpc"}, "networkMode is 'vpc'"),
        ({"family": 3}, "family"),
        ({"containerDefinitions": []}, "empty"),
        ({"containerDefinitions": [{"name": "a", "image": "i"}]}, "neither memory"),
        ({"containerDefinitions": [{"name": "a", "image": "i", "memory": "512"}]}, "memory"),
        (
            {"containerDefinitions": [{"name": "a", "image": "i", "memory": 5, "essential": False}]},
            "essential",
        ),
        ({"containerDefinitions": [{"name": "a", "image": "i", "memory": 5}] * 2}, "two containers"),
        (
            {
                "containerDefinitions": [
                    {"name": "a", "memory": 5, "dependsOn": [{"containerName": "b", "condition": "START"}]}
                ]
            },
            "depends on 'b'",
        ),
        (
            {
                "containerDefinitions": [
                    {"name": "a", "memory": 5, "logConfiguration": {"logDriver": "awslog"}}
                ]
            },
            "logDriver is 'awslog'",
        ),
        (
            {
                "containerDefinitions": [
                    {"name": "a", "memory": 5, "logConfiguration": {"logDriver": "awslogs"}}
                ]
            },
            "without awslogs-group",
        ),
        (
            {
                "containerDefinitions": [
                    {"name": "a", "memory": 5, "resourceRequirements": [{"type": "GPUS", "value": "1"}]}
                ]
            },
            "type is 'GPUS'",
        ),
    ],
)
def test_wrong_definition_is_found_before_the_call(change, said):
    assert said in " ".join(task_definitions.validate({**DEFINITION, **change}))


def test_gpu_size_is_a_family_of_its_own_that_asks_for_one_gpu():
    sized = task_definitions.with_size(DEFINITION, "gpu")
    assert sized["family"] == "job-gpu"
    assert task_failures.wanted(sized) == {"CPU": 0, "MEMORY": 512, "GPU": 1}
    assert "resourceRequirements" not in DEFINITION["containerDefinitions"][0]
    with pytest.raises(AwsError, match="cpu, gpu"):
        task_definitions.with_size(DEFINITION, "tpu")


def test_unknown_family_names_the_nearest(tmp_path):
    folder = tmp_path / "task-definitions"
    folder.mkdir()
    (folder / "jobs-mxnet.json").write_text("{}")
    with pytest.raises(AwsError, match="did you mean 'jobs-mxnet'"):
        task_definitions.read("job-mxnet", tmp_path)
    (folder / "broken.json").write_text("{")
    with pytest.raises(AwsError, match="not JSON"):
        task_definitions.read("broken", tmp_path)


@pytest.mark.parametrize(
    ("changes", "lines", "said"),
    [
        ({"exit_code": 3}, ["first", "the disk is full", ""], "exited with 3: the disk is full"),
        ({"exit_code": 1}, [], "exited with 1: its program failed"),
        ({"exit_code": 42}, [], "exited with 42: it wrote nothing"),
        ({"exit_code": 137}, ["epoch 2"], "killed (SIGKILL); its last line: epoch 2"),
        ({"exit_code": 137, "stopped_reason": "OutOfMemoryError: Container killed"}, ["x"], "more memory"),
        (
            {"stopped_reason": "CannotPullContainerError: image x:latest not found"},
            [],
            "the image is not in the repository",
        ),
        ({"stopped_reason": "CannotPullContainerError: pull access denied"}, [], "execution role"),
        ({"stopped_reason": "CannotPullContainerError: timeout"}, [], "could not be pulled"),
        ({"stopped_reason": "CannotStartContainerError: exec: no such file"}, [], "entry point"),
        ({"stopped_reason": "Task failed container health checks", "exit_code": 0}, [], "health check"),
        ({"stopped_reason": "Host EC2 (instance i-1) terminated."}, [], "went away"),
        ({"stopped_reason": "no more clouds"}, [], "no more clouds"),
        ({"stopped_reason": "stopped by a person", "exit_code": 0}, [], "was stopped: stopped by a person"),
    ],
)
def test_each_way_to_end_badly_has_its_words(changes, lines, said):
    error = task_failures.ended(task(**changes), lines)
    assert said in error.message
    assert "job" in error.message


def test_memory_remedy_names_the_file_that_exists():
    error = task_failures.ended(task(stopped_reason="OutOfMemoryError", exit_code=137), [])
    assert "task-definitions/job.json" in error.remedy


def test_log_stream_is_where_awslogs_puts_it():
    definition = {
        "containerDefinitions": [
            {
                "name": "job",
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {"awslogs-group": "/jobs", "awslogs-stream-prefix": "run"},
                },
            }
        ]
    }
    found = task_records.with_log(task(), definition)
    assert (found.log_group, found.log_stream) == ("/jobs", "run/job/abc")


def test_description_becomes_ports_times_and_the_containers_own_reason():
    began = datetime(2026, 1, 1, tzinfo=UTC)
    entry = {
        "taskArn": "arn:aws:ecs:r:1:task/c/abc",
        "taskDefinitionArn": "arn:aws:ecs:r:1:task-definition/job:1",
        "lastStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "startedAt": began,
        "overrides": {"containerOverrides": [{"name": "job"}]},
        "containers": [
            {"name": "side", "exitCode": 0},
            {
                "name": "job",
                "exitCode": 137,
                "reason": "OutOfMemoryError: Container killed due to memory usage",
                "networkBindings": [{"containerPort": 8888, "hostPort": 32768}],
            },
        ],
    }
    found = task_records.read(entry, "c")
    assert (found.exit_code, found.ports, found.times) == (137, {8888: 32768}, {"startedAt": began})
    assert found.stopped_reason.startswith("OutOfMemoryError")
    assert found.is_stopped

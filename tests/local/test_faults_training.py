"""A training job whose AWS is killed goes on from its last epoch and ends as if nothing had been.

The pictures are noise: what is learned does not matter, only that it is the same to the last digit.
"""

import json
import os
import signal
from collections.abc import Iterator

import boto3
import pytest
from attendee import Attendee, attendee, is_free, make_pictures, wait_until

from workshop import place

pytestmark = pytest.mark.local
NUM_EPOCHS = 12
JOB = ("run", "train-images-mxnet", "--on", "ecs", "-p", f"num_epochs={NUM_EPOCHS}", "-p", "batch_size=16")
TIMEOUT_SECONDS = 120


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attendee]:
    folder = tmp_path_factory.mktemp("learner")
    with attendee(folder) as one:
        make_pictures(folder / "data", 60)
        one.variables |= {"WORKSHOP_DATA_DIR": str(folder / "data")}
        prepared = one.run("prepare", "4")
        assert prepared.returncode == 0, prepared.stderr
        yield one


def figures(said: str) -> dict[str, object]:
    """The metrics in a run's last line, without what depends on the machine."""
    measured = json.loads(said.strip().splitlines()[-1])
    return {name: value for name, value in measured.items() if "seconds" not in name}


@pytest.fixture(scope="module")
def interrupted(learner: Attendee) -> tuple[int, str, str]:
    """Kill the local AWS while a task trains: (exit status, what was said, what the resumed run says)."""
    with learner.start(*JOB) as process:
        wait_until(lambda: "epoch 3/" in learner.said(), TIMEOUT_SECONDS, learner.said)
        os.kill(learner.local_aws_pid(), signal.SIGKILL)
        status = process.wait(TIMEOUT_SECONDS)
    said = learner.said()
    wait_until(lambda: not learner.processes(), 20, lambda: str(learner.processes()))
    assert is_free(learner.port)
    resumed = learner.run(*JOB, "--resume", timeout_seconds=TIMEOUT_SECONDS)
    assert resumed.returncode == 0, resumed.stderr
    return status, said, resumed.stdout


def test_kill_of_the_local_aws_fails_the_run_with_the_reason_and_leaves_nothing(
    interrupted: tuple[int, str, str],
) -> None:
    status, said, _ = interrupted
    assert status == 1
    assert "AWS does not answer" in said and "fix: workshop up" in said
    assert "Traceback" not in said


def test_resumed_training_does_not_begin_anew_and_ends_with_the_same_figures(
    interrupted: tuple[int, str, str], learner: Attendee
) -> None:
    *_, resumed = interrupted
    whole = learner.run(*JOB, timeout_seconds=TIMEOUT_SECONDS).stdout
    assert "epoch 1/" not in resumed and "epoch 1/" in whole
    assert figures(resumed) == figures(whole)


def test_clean_up_while_a_task_trains_leaves_nothing_and_can_be_run_again(learner: Attendee) -> None:
    with learner.start(*JOB) as process:
        wait_until(lambda: "epoch 1/" in learner.said(), TIMEOUT_SECONDS, learner.said)
        cleaned = learner.run("clean", "--all")
        assert process.wait(TIMEOUT_SECONDS) == 1
    assert cleaned.returncode == 0, cleaned.stderr
    assert "nothing is left" in cleaned.stdout
    assert "Traceback" not in learner.said()
    made = boto3.Session("local", "local", region_name="us-east-1")
    tagging = made.client("resourcegroupstaggingapi", endpoint_url=f"http://127.0.0.1:{learner.port}")
    assert tagging.get_resources()["ResourceTagMappingList"] == []
    s3 = made.client("s3", endpoint_url=f"http://127.0.0.1:{learner.port}")
    assert s3.list_buckets()["Buckets"] == []
    assert "there was nothing to do" in learner.run("clean", "--all").stdout
    assert learner.run("prepare", "4").returncode == 0
    ecs = made.client("ecs", endpoint_url=f"http://127.0.0.1:{learner.port}")
    arns = ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"]
    families = {arn.rpartition("/")[2].partition(":")[0] for arn in arns}
    assert {"jobs-mxnet", "jobs-tensorflow", "jupyter", "secondary"} <= families


def test_state_that_a_deletion_left_behind_is_refused_at_once_with_the_remedy(learner: Attendee) -> None:
    """A stack whose bucket is full can be neither updated nor deleted: nobody should wait for that."""
    assert learner.run("prepare", "4").returncode == 0
    made = boto3.Session("local", "local", region_name="us-east-1")
    endpoint = f"http://127.0.0.1:{learner.port}"
    s3, stacks = (made.client(name, endpoint_url=endpoint) for name in ("s3", "cloudformation"))
    bucket = next(each["Name"] for each in s3.list_buckets()["Buckets"] if "output" in each["Name"])
    s3.put_object(Bucket=bucket, Key="x", Body=b"1")
    stacks.delete_stack(StackName="workshop-cluster")
    stacks.get_waiter("stack_delete_complete").wait(StackName="workshop-cluster", WaiterConfig={"Delay": 1})
    stacks.delete_stack(StackName="workshop-storage")
    refused = learner.run("prepare", "2", timeout_seconds=30)
    assert refused.returncode == 1
    assert "DELETE_FAILED" in refused.stderr and "workshop clean --all" in refused.stderr
    assert learner.run("clean", "--all").returncode == 0


def test_local_aws_that_another_run_uses_is_not_started_anew_for_other_settings(learner: Attendee) -> None:
    before = json.loads(learner.run("up", "--json").stdout)["pid"]
    settings = learner.variables.copy()
    learner.variables.pop("WORKSHOP_DATA_DIR")
    try:
        with place.hold(learner.state / place.COURSE, "workshop run 1-4"):
            again = learner.run("up", "--json")
        assert json.loads(again.stdout)["pid"] == before
        assert "keeps the settings of `workshop run 1-4`" in again.stderr
        assert json.loads(learner.run("up", "--json").stdout)["pid"] != before  # nobody uses it any more
    finally:
        learner.variables = settings

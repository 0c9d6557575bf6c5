"""The DAG `sentiment` in a real Airflow, its jobs in real ECS tasks: each run ends in the right colour, for the right
reason, and only the first publishes."""

from collections.abc import Iterator

import pytest
from airflow_world import DATA, Driver, World, airflow_world, driver
from lesser_roles import lacking

from workshop.airflow import home as airflow_home
from workshop.aws import models, stacks
from workshop.settings import load

pytestmark = pytest.mark.skipif(
    not (load().root / ".venvs" / airflow_home.ENVIRONMENT).is_dir(),
    reason="the environment airflow is not made",
)
STATES = ("success", "failed", "skipped", "not run")
# (statement of AirflowRole, action that is taken out, where the run is red)
RIGHTS = [
    ("ReadTheStacksOutputs", "cloudformation:DescribeStacks", "plan"),
    ("ReadDataRunsAndModels", "s3:GetObject", "validate_data"),
    ("StartJobs", "ecs:RunTask", "train"),
    ("PublishModels", "s3:PutObject", "publish"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with airflow_world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def airflow(world: World) -> Iterator[Driver]:
    with driver(world) as started:
        yield started


@pytest.fixture(scope="module")
def model(world: World) -> str:
    return f"s3://{stacks.output('ModelBucket', world.aws)}/sentiment"


@pytest.fixture(scope="module")
def first(world: World, airflow: Driver):
    """The run that passes; the others come after it, as in life."""
    ended = airflow.run(dataset=world.data("good"), run="first", threshold=0.8)
    return ended, list(airflow.lines), world.keys("ModelBucket")


def states(run) -> dict[str, str]:
    return {task.name: task.state for task in run.tasks}


def in_service(world: World, model: str) -> str:
    return models.current(model, world.aws.client("s3")).version


def test_a_run_that_is_good_enough_is_green_and_publishes_its_artefact(world, model, first):
    ended, _, published = first
    assert ended.check().passed
    assert states(ended) == {
        **dict.fromkeys(("plan", "validate_data", "train", "evaluate", "gate", "publish"), "success"),
        "roll_service": "skipped",
    }
    assert ended.published == "first"
    assert in_service(world, model) == "first"
    assert len([key for key in published if key.startswith("sentiment/versions/first/")]) == 5


def test_the_containers_own_lines_are_shown_while_it_runs(first):
    _, lines, _ = first
    assert "epoch 1/1 loss 0.5" in lines
    assert "60 rows in 2 classes (negative 30, positive 30)" in lines


def test_the_containers_own_lines_are_in_airflows_log(world, first):
    log = airflow_home.folder(world.settings) / "driver.log"
    assert "epoch 1/1 loss 0.5" in log.read_text()


def test_the_same_run_again_trains_nothing_and_publishes_nothing(world, airflow, first):
    again = airflow.run(dataset=world.data("good"), run="first", threshold=0.8)
    assert again.check().passed
    assert again.published == ""
    assert any("not run again: the artefact of run first is complete" in line for line in airflow.lines)
    assert not any(line.startswith("stand-in") for line in airflow.lines)
    assert world.keys("ModelBucket") == first[2]


def test_the_same_run_below_another_threshold_is_red_and_stays_in_service(world, airflow, model, first):
    red = airflow.run(dataset=world.data("good"), run="first", threshold=0.81)
    assert (red.red.name, red.task("publish").state) == ("gate", "not run")
    assert in_service(world, model) == "first"
    assert world.keys("ModelBucket") == first[2]


def test_the_same_run_with_other_parameters_is_refused(world, airflow, first):
    red = airflow.run(dataset=world.data("good"), run="first", num_epochs=7)
    assert red.red.name == "train"
    assert "num_epochs was 0 and is 7 now" in red.red.reason
    assert red.red.remedy == "give this run another id"


def test_a_run_below_the_threshold_is_red_at_the_gate_and_publishes_nothing(world, airflow, first):
    red = airflow.run(dataset=world.data("good"), run="below", threshold=0.9)
    assert (red.state, red.red.name) == ("failed", "gate")
    assert red.red.reason == "accuracy 0.800 is below the threshold 0.900"
    assert red.red.remedy
    assert red.task("publish").state == red.task("roll_service").state == "not run"
    assert world.keys("ModelBucket") == first[2]


def test_a_run_whose_task_exits_3_is_red_with_the_code_and_the_tasks_own_words(world, airflow, first):
    red = airflow.run(dataset=world.data("exits-3"), run="exits-3")
    assert red.red.name == "train"
    assert "exited with 3: the stand-in was told to fail" in red.red.reason
    assert red.task("evaluate").state == "not run"
    assert world.keys("ModelBucket") == first[2]


def test_a_run_without_metrics_is_red_whatever_earlier_runs_left(world, airflow, first):
    red = airflow.run(dataset=world.data("no-metrics"), run="no-metrics", threshold=0)
    assert states(red)["evaluate"] == "success"
    assert red.red.name == "gate"
    assert "gives no accuracy" in red.red.reason
    assert world.keys("ModelBucket") == first[2]


def test_bad_data_are_refused_before_anything_is_trained(world, airflow, first):
    content = DATA.replace(b"label_text", b"label")
    red = airflow.run(dataset=world.data("bad", content), run="bad")
    assert red.red.name == "validate_data"
    assert "has no column label_text (its columns: text, label)" in red.red.reason
    assert red.task("train").state == "not run"


def test_a_run_on_fargate_has_its_jobs_there(world, airflow, first):
    from workshop.aws import task_definitions

    task_definitions.register("jobs-tensorflow", aws=world.aws, on_fargate=True)
    ended = airflow.run(dataset=world.data("good"), run="fargate", launch_type="FARGATE")
    assert ended.check().published == "fargate"
    assert "jobs-tensorflow-fargate on FARGATE" in airflow.lines


@pytest.mark.parametrize(("sid", "action", "red"), RIGHTS, ids=[action for _, action, _ in RIGHTS])
def test_a_run_whose_role_lacks_a_right_is_red_where_it_is_needed_and_says_what_mends_it(
    world, airflow, first, sid, action, red
):
    data, run = world.data("good"), f"without-{action.replace(':', '-')}"
    published = world.keys("ModelBucket")
    with lacking(world.aws, "AirflowRole", sid, action):
        ended = airflow.run(dataset=data, run=run)
    assert ended.red.name == red
    assert f"is not authorized to perform: {action}" in ended.red.reason
    assert ended.red.remedy.startswith(f"add {action} on arn:aws:")
    assert "to AirflowRole in cloudformation/airflow.yaml" in ended.red.remedy
    assert world.keys("ModelBucket") == published

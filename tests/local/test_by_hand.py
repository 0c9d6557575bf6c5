"""docs/by-hand.md, typed by a learner who has done lab 2: AWS's own CLI, IAM enforced, tasks as processes."""

from collections.abc import Iterator

import by_hand_page
import pytest
from attendee import Attendee, attendee
from by_hand_page import WITH_DOCKER


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attendee]:
    with attendee(tmp_path_factory.mktemp("by-hand")) as one:
        prepared = one.run("prepare", "3", timeout_seconds=120)
        assert prepared.returncode == 0, prepared.stdout + prepared.stderr
        yield one


@pytest.fixture(scope="module")
def page(learner: Attendee) -> list[by_hand_page.Block]:
    return by_hand_page.typed([x for x in by_hand_page.blocks() if x.heading != WITH_DOCKER], learner)


def printed(page: list[by_hand_page.Block], line: str) -> str:
    """What the one block with this in its lines printed."""
    [block] = [each for each in page if line in each.lines]
    return block.printed


def test_caller_is_the_learner(page: list[by_hand_page.Block]) -> None:
    arn = "arn:aws:sts::123456789012:assumed-role/workshop-learner/local"
    assert arn in printed(page, "get-caller-identity")


def test_stacks_that_a_lab_made_are_what_the_page_deploys(page: list[by_hand_page.Block]) -> None:
    for stack in ("network", "storage", "cluster"):
        said = printed(page, f"deploy --stack-name workshop-{stack}")
        assert f"No changes to deploy. Stack workshop-{stack} is up to date" in said


def test_cluster_is_active_with_an_instance(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "describe-clusters")
    assert '"ACTIVE",\n    1\n' in said
    assert "CREATE_COMPLETE\tworkshop-cluster" in said and ":cluster/workshop-cluster" in said


def test_image_has_a_second_tag(page: list[by_hand_page.Block]) -> None:
    assert '[\n    "latest",\n    "second"\n]' in printed(page, "put-image")


def test_task_ends_well_and_its_log_is_read(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "wait tasks-stopped")
    assert '"Essential container in task exited",\n    0\n' in said
    assert "train-images-mxnet" in said


def test_gpu_that_is_not_there_is_a_reason_and_no_error(page: list[by_hand_page.Block]) -> None:
    assert '"RESOURCE:GPU"' in printed(page, "jobs-mxnet-gpu")


def test_task_that_stays_is_stopped_with_the_reason_given(page: list[by_hand_page.Block]) -> None:
    assert '"STOPPED",\n    "seen enough"' in printed(page, "stop-task")


def test_uploaded_picture_gets_its_answer(page: list[by_hand_page.Block]) -> None:
    said = printed(page, "drawings.png")
    assert '"picture": "by-hand.png"' in said and '"verdict"' in said


def test_clean_up_finds_what_was_made_by_hand(page: list[by_hand_page.Block], learner: Attendee) -> None:
    ended = learner.run("clean", "--all", timeout_seconds=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "nothing is left" in ended.stdout

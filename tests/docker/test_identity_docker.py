"""Whose rights count where tasks are containers: the process engine's tests again, and pushes by Docker itself."""

import copy
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_images import docker, make_unknown
from docker_world import DockerAccount, docker_world
from test_identity_tasks import (  # noqa: F401
    PUSH,
    execution_role,
    pushing,
    test_a_right_that_the_execution_role_lacks_is_the_reason_why_the_task_stopped,
    test_a_role_that_is_deleted_midway_gives_no_more_rights,
    test_a_secret_needs_the_execution_roles_right_to_read_it,
    test_a_task_has_the_rights_of_its_role_and_no_others,
    test_a_task_without_a_role_has_no_credentials,
    test_an_override_of_the_task_role_counts,
    test_without_an_execution_role_nothing_is_pulled,
    test_without_the_right_to_write_a_task_runs_and_its_log_is_empty,
)

# Docker asks first which layers are there, and sends a layer in parts.
DOCKER_PUSH = [*PUSH, "ecr:BatchCheckLayerAvailability", "ecr:UploadLayerPart"]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory, small_image: str) -> Iterator[DockerAccount]:
    with docker_world(tmp_path_factory.mktemp("identity"), small_image, DockerAccount) as made:
        made.client("s3").create_bucket(Bucket="results")
        yield made


@pytest.fixture
def unknown(aws: DockerAccount) -> Iterator[DockerAccount]:
    """The same world, that pushes an image of which no registry has a layer."""
    other, other_image = copy.copy(aws), f"localaws-test/unknown-{os.getpid()}"
    make_unknown(other_image, 64)
    other.small_image = other_image
    yield other
    docker("image", "rm", "--force", other_image)


def test_push_by_docker_with_the_right_of_each_step_is_taken(unknown: DockerAccount) -> None:
    assert pushing(unknown, DOCKER_PUSH).push("pushed")


@pytest.mark.parametrize("missing", [each for each in DOCKER_PUSH if "Check" not in each])
def test_push_by_docker_without_the_right_of_one_step_is_denied_with_its_name(
    unknown: DockerAccount, missing: str
) -> None:
    policy = [each for each in DOCKER_PUSH if each != missing]
    with pytest.raises(AssertionError, match=f"not authorized to perform: {missing}"):
        pushing(unknown, policy).push("not-pushed")


def test_pull_by_docker_needs_a_login_and_the_right_of_whoever_asked_for_it(
    aws: DockerAccount, tmp_path: Path
) -> None:
    """The engine's own pulls, for tasks, are another matter: there the execution role is asked."""
    image = f"127.0.0.1:{aws.port}/jobs:latest"
    with pytest.raises(AssertionError, match="no basic auth credentials"):
        docker("--config", str(tmp_path), "pull", image)
    with pytest.raises(AssertionError, match="not authorized to perform: ecr:BatchGetImage"):
        docker("--config", str(pushing(aws, []).logged_in()), "pull", image)
    docker("--config", str(aws.logged_in()), "pull", image)

"""Volumes of tasks of the local ECS."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ecs_world import World, world

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("volumes")) as made:
        yield made


def test_containers_of_a_task_share_a_volume_that_ends_with_it(aws: World) -> None:
    mount: dict[str, Any] = {"mountPoints": [{"sourceVolume": "scratch", "containerPath": "/srv/shared"}]}
    write = "import os; open('shared/note', 'w').write('hello'); print(os.path.realpath('shared'))"
    arn = aws.run(
        aws.container(
            "print(open('shared/note').read())",
            dependsOn=[{"containerName": "writer", "condition": "SUCCESS"}],
            **mount,
        ),
        aws.container(write, "writer", essential=False, **mount),
        register={"volumes": [{"name": "scratch"}]},
    )
    aws.stopped(arn)
    assert aws.lines(arn) == ["hello"]
    assert not Path(aws.lines(arn, "writer")[0]).exists()


def test_shared_volume_outlives_its_task_and_volumes_from_gives_it_to_another_container(aws: World) -> None:
    volume = {"name": "kept", "dockerVolumeConfiguration": {"scope": "shared", "autoprovision": True}}
    mount: dict[str, Any] = {"mountPoints": [{"sourceVolume": "kept", "containerPath": "/srv/kept"}]}
    write = aws.container("open('kept/note', 'w').write('for later')", **mount)
    assert aws.stopped(aws.run(write, register={"volumes": [volume]}))["containers"][0]["exitCode"] == 0
    arn = aws.run(
        aws.container("print(open('kept/note').read())", volumesFrom=[{"sourceContainer": "owner"}]),
        aws.container("pass", "owner", essential=False, **mount),
        register={"volumes": [volume]},
    )
    aws.stopped(arn)
    assert aws.lines(arn) == ["for later"]


def test_volume_that_can_not_be_given_is_refused_by_name(aws: World) -> None:
    volume = {"name": "v", "dockerVolumeConfiguration": {"driver": "rexray/ebs"}}
    with pytest.raises(ClientError, match="Docker volume drivers and their options: not emulated"):
        aws.register(aws.container("pass"), volumes=[volume])
    with pytest.raises(ClientError, match="Unknown container 'nobody'"):
        aws.register(aws.container("pass", volumesFrom=[{"sourceContainer": "nobody"}]))


def test_host_path_volume_is_that_folder(aws: World, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("here")
    arn = aws.run(
        aws.container(
            "print(open('in/data').read())",
            mountPoints=[{"sourceVolume": "host", "containerPath": "/srv/in", "readOnly": True}],
        ),
        register={"volumes": [{"name": "host", "host": {"sourcePath": str(tmp_path)}}]},
    )
    aws.stopped(arn)
    assert aws.lines(arn) == ["here"]


def test_mount_point_outside_the_working_directory_is_refused_by_name(aws: World) -> None:
    arn = aws.run(
        aws.container("pass", mountPoints=[{"sourceVolume": "v", "containerPath": "/data"}]),
        register={"volumes": [{"name": "v"}]},
    )
    reason = aws.stopped(arn)["stoppedReason"]
    assert reason.startswith("CannotCreateContainerError") and "/data" in reason

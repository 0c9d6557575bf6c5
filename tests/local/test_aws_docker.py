"""Images with a real Docker engine: built, looked into, run, pushed to the local registry."""

from collections.abc import Iterator

import course_world
import pytest

from workshop.aws import docker, images, programs, stacks
from workshop.aws.session import Aws

pytestmark = [pytest.mark.local, pytest.mark.docker]


@pytest.fixture
def aws(tmp_path, monkeypatch) -> Iterator[Aws]:
    monkeypatch.setattr(images, "_local_engine", lambda aws: "docker")
    with course_world.course(tmp_path) as found:
        stacks.deploy("storage", aws=found)
        yield found


def test_image_is_built_run_pushed_and_no_token_is_left_behind(aws):
    lines: list[str] = []
    built = images.build("mxnet", lines.append, aws)
    target = images.docker_uri("mxnet", aws)
    try:
        assert lines and built.engine == "docker" and built.size_bytes > 1_000_000
        assert images.inspect("mxnet", aws).entry_point == ["python", "-u", "-c"]
        said = images.shell(
            "mxnet", ["python", "-c", "import os; print(os.environ['FROM_THE_IMAGE'])"], aws=aws
        )
        assert said == "yes\n"
        pushed = images.push("mxnet", aws=aws)
        repository = stacks.output("MxnetRepository", aws)
        details = aws.client("ecr").describe_images(repositoryName=repository)["imageDetails"]
        assert [each["imageDigest"] for each in details] == [pushed.digest]
        assert docker.inspect(target)["Id"] == built.digest
    finally:
        programs.output_of(["docker", "image", "rm", target, built.uri], 60)

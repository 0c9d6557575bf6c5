"""Endpoints and batch transform whose models are containers: served, replaced, updated, and nothing left behind."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker_images import docker, remove_images
from docker_world import DockerWorld
from ecs_world import furnished, wait_until
from hosting_world import SERVER, HostingWorld

DOCKERFILE = """\
FROM {image}
USER 1234
ENTRYPOINT {entry}
"""


class DockerHosting(DockerWorld, HostingWorld):
    """Models that are containers."""

    def containers(self) -> list[str]:
        return docker("ps", "--all", "--quiet", "--filter", f"label=localaws.owner={self.owner}").split()

    def volumes(self) -> list[str]:
        return docker("volume", "ls", "--quiet", "--filter", f"label=localaws.owner={self.owner}").split()

    @property
    def owner(self) -> Path:
        return self.folder / "localaws" / "engine"


@pytest.fixture(scope="module")
def aws(small_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerHosting]:
    folder = tmp_path_factory.mktemp("hosting")
    entry = json.dumps(["python", "-u", "-c", SERVER])
    (folder / "Dockerfile").write_text(DOCKERFILE.format(image=small_image, entry=entry))
    image = small_image.replace("small", "serving")
    docker("build", "--quiet", "--tag", image, str(folder))
    made = DockerHosting(folder, image)
    try:
        with furnished(made):
            yield made
    finally:
        remove_images(made.port)
        docker("image", "rm", "--force", image)


def test_a_container_serves_its_model_is_replaced_when_it_ends_and_leaves_nothing(aws: DockerHosting) -> None:
    name = aws.endpoint({"ModelName": aws.model("in docker", COLOUR="blue"), "InitialInstanceCount": 2})
    assert aws.invoke(name, "model") == "in docker"
    assert aws.invoke(name, "env COLOUR") == "blue"
    assert "listening on" in aws.lines(name)[0]
    before = set(aws.containers())
    assert len(before) == 2
    docker("kill", sorted(before)[0])
    wait_until(lambda: len(before & set(aws.containers())) == 1 and len(aws.containers()) == 2)
    assert {aws.invoke(name, "model") for _ in range(10)} == {"in docker"}
    assert aws.described(name)["EndpointStatus"] == "InService"
    aws.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=aws.config({"ModelName": aws.model("newer")})
    )
    aws.settled(name)
    assert aws.invoke(name, "model") == "newer"
    aws.sagemaker.delete_endpoint(EndpointName=name)
    aws.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 100}
    )
    assert (aws.containers(), aws.volumes()) == ([], [])


def test_a_container_that_ends_makes_the_endpoint_fail_with_its_reason_and_its_log(
    aws: DockerHosting,
) -> None:
    name = aws.endpoint({"ModelName": aws.model(BROKEN="exit")}, wait=False)
    reason = aws.settled(name, "Failed")["FailureReason"]
    assert reason.startswith("The primary container for production variant AllTraffic did not pass the ping")
    assert "no model here" in aws.lines(name)
    assert aws.containers() == []


def test_a_batch_is_transformed_by_a_container(aws: DockerHosting) -> None:
    aws.s3.put_object(Bucket="models", Key="in/rows.csv", Body="one\nthree\n")
    aws.sagemaker.create_transform_job(
        TransformJobName="batch",
        ModelName=aws.model(MODE="lines"),
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://models/in/"}},
            "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": "s3://models/out", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    aws.sagemaker.get_waiter("transform_job_completed_or_stopped").wait(
        TransformJobName="batch", WaiterConfig={"Delay": 0.2, "MaxAttempts": 100}
    )
    assert aws.s3.get_object(Bucket="models", Key="out/rows.csv.out")["Body"].read() == b"3:2\n5:2\n"
    assert (aws.containers(), aws.volumes()) == ([], [])


def test_endpoints_run_again_after_a_kill_of_the_server_and_end_with_its_orderly_end(
    aws: DockerHosting,
) -> None:
    name = aws.endpoint({"ModelName": aws.model("kept")})
    before = set(aws.containers())
    wait_until(lambda: aws.is_kept(f'"{name}"', '"InService"'))
    aws.stop(signal.SIGKILL)
    aws.start()
    aws.settled(name)
    assert aws.invoke(name, "model") == "kept"
    assert len(aws.containers()) == 1
    assert not before & set(aws.containers())
    aws.stop()
    assert aws.containers() == []

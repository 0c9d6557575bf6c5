"""ECR's layer calls store what they are given."""

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ecs_world import World, world

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("layers")) as made:
        yield made


def upload(ecr: Any, blob: bytes, digest: str | None = None) -> str:
    said = digest or f"sha256:{hashlib.sha256(blob).hexdigest()}"
    name = "jobs"
    begun = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    ecr.upload_layer_part(
        repositoryName=name, uploadId=begun, partFirstByte=0, partLastByte=len(blob) - 1, layerPartBlob=blob
    )
    ecr.complete_layer_upload(repositoryName=name, uploadId=begun, layerDigests=[said])
    return said


def test_uploaded_layer_is_available_and_can_be_fetched(aws: World) -> None:
    ecr = aws.client("ecr")
    digest = upload(ecr, b"layer")
    [layer] = ecr.batch_check_layer_availability(repositoryName="jobs", layerDigests=[digest])["layers"]
    assert (layer["layerAvailability"], layer["layerSize"]) == ("AVAILABLE", 5)
    url = ecr.get_download_url_for_layer(repositoryName="jobs", layerDigest=digest)["downloadUrl"]
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"layer"


def test_layer_with_another_digest_is_refused(aws: World) -> None:
    with pytest.raises(ClientError, match="InvalidLayerException"):
        upload(aws.client("ecr"), b"layer", "sha256:" + "0" * 64)


def test_image_runs_that_was_put_by_the_api_alone(aws: World) -> None:
    ecr = aws.client("ecr")
    config = {"Labels": {"workshop.environment": "workshop"}, "Entrypoint": ["echo"], "Cmd": ["from the api"]}
    blob = json.dumps({"config": config}).encode()
    entry = {"digest": upload(ecr, blob), "size": len(blob)}
    ecr.put_image(repositoryName="jobs", imageManifest=json.dumps({"config": entry}), imageTag="api")
    arn = aws.run({**aws.container("x", image=aws.image.replace("latest", "api")), "command": []})
    aws.stopped(arn)
    assert aws.lines(arn) == ["from the api"]
    [image] = ecr.describe_images(repositoryName="jobs", imageIds=[{"imageTag": "api"}])["imageDetails"]
    assert image["imageSizeInBytes"] == len(blob)


def test_image_without_its_layers_is_refused(aws: World) -> None:
    digest = "sha256:" + "0" * 64
    with pytest.raises(ClientError, match="LayersNotFoundException"):
        aws.client("ecr").put_image(
            repositoryName="jobs", imageManifest=json.dumps({"config": {"digest": digest}}), imageTag="x"
        )

"""Images and their tags in the local ECR, by its API: what points where, what goes with what, what is an error."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance import Watch
from ecs_world import World
from enforced_world import enforced_world


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with enforced_world(tmp_path_factory.mktemp("images")) as made:
        yield made


class Repository:
    """One repository with an image that is tagged `latest`."""

    def __init__(self, aws: World, name: str) -> None:
        self.aws, self.name = aws, name
        self.ecr = aws.client("ecr")
        self.watch = Watch(self.ecr)
        aws.push(name)

    def call(self, operation: str, **arguments: Any) -> Any:
        return getattr(self.ecr, operation)(repositoryName=self.name, **arguments)

    def code(self, operation: str, **arguments: Any) -> str:
        """The code of the error that a call must end in."""
        with pytest.raises(ClientError) as caught:
            self.call(operation, **arguments)
        assert self.watch.checked() == []
        return str(caught.value.response["Error"]["Code"])

    def tag(self, tag: str) -> str:
        image = self.call("batch_get_image", imageIds=[{"imageTag": "latest"}])["images"][0]
        made = self.call("put_image", imageTag=tag, imageManifest=image["imageManifest"])
        return str(made["image"]["imageId"]["imageDigest"])

    def tags(self) -> list[str]:
        return sorted(each["imageTag"] for each in self.call("list_images")["imageIds"])


@pytest.fixture
def repository(aws: World, request: pytest.FixtureRequest) -> Repository:
    return Repository(aws, request.node.name.removeprefix("test_").replace("_", "-"))


def test_image_is_listed_under_each_of_its_tags(repository: Repository) -> None:
    repository.tag("mine")
    assert repository.tags() == ["latest", "mine"]
    assert len(repository.call("describe_images")["imageDetails"]) == 1
    asked = repository.call("batch_get_image", imageIds=[{"imageTag": "latest"}])["images"][0]
    assert asked["imageId"]["imageTag"] == "latest"
    assert repository.watch.checked() == []


def test_deleting_a_tag_leaves_the_others_and_the_last_takes_the_image(repository: Repository) -> None:
    repository.tag("mine")
    deleted = repository.call("batch_delete_image", imageIds=[{"imageTag": "latest"}])
    assert [each["imageTag"] for each in deleted["imageIds"]] == ["latest"]
    assert repository.tags() == ["mine"]
    repository.call("batch_delete_image", imageIds=[{"imageTag": "mine"}])
    assert repository.call("describe_images")["imageDetails"] == []


def test_deleting_a_digest_takes_every_tag(repository: Repository) -> None:
    digest = repository.tag("mine")
    deleted = repository.call("batch_delete_image", imageIds=[{"imageDigest": digest}, {"imageTag": "none"}])
    assert sorted(each["imageTag"] for each in deleted["imageIds"]) == ["latest", "mine"]
    assert [each["failureCode"] for each in deleted["failures"]] == ["ImageNotFound"]
    assert repository.tags() == []


def test_tag_that_moves_leaves_its_old_image_untagged(repository: Repository) -> None:
    old = repository.call("describe_images")["imageDetails"][0]["imageDigest"]
    repository.aws.push(repository.name, Env=["ANOTHER=1"])
    untagged = repository.call("list_images", filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert untagged == [{"imageDigest": old}]
    assert len(repository.call("list_images", filter={"tagStatus": "TAGGED"})["imageIds"]) == 1
    assert repository.watch.checked() == []


def test_errors_are_those_of_ecr(repository: Repository) -> None:
    missing = [{"imageTag": "none"}]
    manifest = repository.call("batch_get_image", imageIds=[{"imageTag": "latest"}])["images"][0][
        "imageManifest"
    ]
    assert repository.code("describe_images", imageIds=missing) == "ImageNotFoundException"
    again = repository.code("put_image", imageTag="latest", imageManifest=manifest)
    assert again == "ImageAlreadyExistsException"
    latest = {"imageTag": "latest"}
    assert repository.code("describe_image_scan_findings", imageId=latest) == "ScanNotFoundException"
    assert repository.code("delete_repository") == "RepositoryNotEmptyException"
    nowhere = Repository(repository.aws, "nowhere")
    nowhere.call("delete_repository", force=True)
    for operation in ("list_images", "describe_images", "delete_repository"):
        assert nowhere.code(operation) == "RepositoryNotFoundException"

"""The world of the ECS tests with the Docker engine: the same calls, and tasks that are containers.

Not a test.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docker_images import docker, remove_images
from ecs_world import REGISTRY, World


class DockerWorld(World):
    """A server whose images are pushed to it with the plain docker command."""

    def __init__(self, folder: Path, image: str) -> None:
        super().__init__(folder, "docker")
        self._small_image = image

    def push(self, repository: str, tag: str = "latest", **config: Any) -> str:
        with contextlib.suppress(self.client("ecr").exceptions.RepositoryAlreadyExistsException):
            self.client("ecr").create_repository(repositoryName=repository)
        local = f"127.0.0.1:{self.port}/{repository}:{tag}"
        docker("tag", self._small_image, local)
        docker("push", "--quiet", local)
        docker("image", "rm", local)  # so that a task has to pull it
        return f"{REGISTRY}/{repository}:{tag}"

    def container(self, code: str, name: str = "app", **more: Any) -> dict[str, Any]:
        # The first process of a container ignores SIGTERM, unless an init process hands it on.
        more.setdefault("linuxParameters", {"initProcessEnabled": True})
        return super().container(code, name, **more)


@contextlib.contextmanager
def docker_world(folder: Path, image: str, **environment: str) -> Iterator[DockerWorld]:
    """A furnished local AWS that is gone afterwards, with what Docker pulled from it."""
    made = DockerWorld(folder, image)
    made.start(**environment)
    try:
        made.furnish()
        yield made
    finally:
        if made.process and made.process.poll() is None:
            made.stop()
        remove_images(made.port)

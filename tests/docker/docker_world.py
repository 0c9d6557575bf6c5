"""The world of the ECS tests with the Docker engine: the same calls, and tasks that are containers.

Not a test.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docker_images import docker, remove_images
from ecs_world import REGISTRY, World
from identity_world import Account


class DockerWorld(World):
    """A server whose images are pushed to it with the plain docker command."""

    def __init__(self, folder: Path, image: str) -> None:
        super().__init__(folder, "docker")
        # Docker compresses the small image's layers for the first of these worlds alone.
        self.options = ["--layer-cache", str(folder.parent / "layers")]
        self.small_image = image

    def push(self, repository: str, tag: str = "latest", **config: Any) -> str:
        with contextlib.suppress(self.client("ecr").exceptions.RepositoryAlreadyExistsException):
            self.client("ecr").create_repository(repositoryName=repository)
        local = f"127.0.0.1:{self.port}/{repository}:{tag}"
        docker("tag", self.small_image, local)
        try:
            docker("--config", str(self.logged_in()), "push", "--quiet", local)
        finally:
            docker("image", "rm", local)  # so that a task has to pull it
        return f"{REGISTRY}/{repository}:{tag}"

    def logged_in(self) -> Path:
        """A folder that has a login of ours as `docker login` writes it; this machine's user keeps theirs."""
        _, _, login = self._login()["Authorization"].partition(" ")
        logins = {"auths": {f"127.0.0.1:{self.port}": {"auth": login}}}
        (self.folder / "config.json").write_text(json.dumps(logins))
        return self.folder

    def container(self, code: str, name: str = "app", **more: Any) -> dict[str, Any]:
        # The first process of a container ignores SIGTERM, unless an init process hands it on.
        more.setdefault("linuxParameters", {"initProcessEnabled": True})
        return super().container(code, name, **more)


class DockerAccount(DockerWorld, Account):
    """The same, enforcing, with roles."""


@contextlib.contextmanager
def docker_world(folder: Path, image: str, made_as: type[DockerWorld] = DockerWorld) -> Iterator[DockerWorld]:
    """A furnished local AWS that is gone afterwards, with what Docker pulled from it."""
    made = made_as(folder, image)
    made.start()
    try:
        made.furnish()
        yield made
    finally:
        if made.process and made.process.poll() is None:
            made.stop()
        remove_images(made.port)

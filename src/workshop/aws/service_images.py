"""Does a service run the image that its task definition's tag names now?

Try it:  workshop push serving, then python -c "from workshop.aws import services; services.release(on_line=print)"
ECS looks a tag up once for each deployment and keeps to that digest, so a pushed image waits for the next one
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html). Knows no deployments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workshop.aws.failures import explained
from workshop.aws.session import Aws

REGISTRY = ".dkr.ecr."


def outdated(tasks: Iterable[dict[str, Any]], aws: Aws) -> list[str]:
    """Images, as `repository:tag`, of which a task runs another digest than the registry has under that tag.

    tasks: entries of describe_tasks.
    """
    running: dict[str, set[str]] = {}
    for task in tasks:
        for container in task.get("containers", []):
            if REGISTRY in container.get("image", "") and container.get("imageDigest"):
                running.setdefault(container["image"], set()).add(container["imageDigest"])
    return [image for image, digests in running.items() if digests != {_pushed(image, aws)}]


def _pushed(image: str, aws: Aws) -> str:
    repository, _, tag = image.partition("/")[2].partition(":")
    with explained(f"look at the image {repository}:{tag or 'latest'}"):
        answer = aws.client("ecr").describe_images(
            repositoryName=repository, imageIds=[{"imageTag": tag or "latest"}]
        )
    return str(answer["imageDetails"][0]["imageDigest"])

"""SageMaker's built-in algorithms: at which address each region has their images, and how one is made here.

Try it:  python -c "from localaws.sagemaker import algorithms; print(algorithms.address('linear-learner', 'us-east-1'))"
The addresses are of the tables that AWS publishes inside its SageMaker SDK; they are read from the installed package,
without importing it. The server's option --algorithm gives the file that describes what runs here in the place of AWS's
image; one without such a file is refused by name. Knows no engine.
"""

import functools
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.engine import CannotPull, Recipe

PACKAGE = "sagemaker-core"  # of the SDK's distributions, the one with the tables
TABLES = "sagemaker/core/image_uri_config"
# The SDK gives `1` for the first algorithms; AWS also has `latest` there.
TAGS = ("1", "latest")


@dataclass(frozen=True)
class Algorithm:
    """A built-in algorithm: its image's repository and the account that has it, by region."""

    name: str
    repository: str
    registries: Mapping[str, str]


@functools.cache
def table(name: str) -> Algorithm | None:
    """What AWS's table says of an algorithm whose image has one version; None if there is no such table."""
    try:
        file = importlib.metadata.distribution(PACKAGE).locate_file(f"{TABLES}/{name}.json")
        version = json.loads(Path(str(file)).read_text())["versions"]["1"]
        return Algorithm(name, version["repository"], version["registries"])
    except (importlib.metadata.PackageNotFoundError, OSError, ValueError, KeyError):
        return None


def address(name: str, region: str) -> str | None:
    """The image's address in a region; None where AWS has it not."""
    found = table(name)
    account = found.registries.get(region) if found else None
    return f"{account}.dkr.ecr.{region}.amazonaws.com/{found.repository}:1" if found and account else None


def named(account: str, region: str, repository: str, tag: str, known: Mapping[str, Path]) -> str | None:
    """Which of the algorithms that can run here an image's address means; None if none of them."""
    for name in known:
        found = table(name)
        if found and (found.repository, found.registries.get(region)) == (repository, account):
            return name if tag in TAGS else None
    return None


def recipe(name: str, file: Path) -> Recipe:
    """How the image is made here: JSON with `name`, `config` (OCI), `dockerfile`, `context`; if any, `arguments`.

    Errors: CannotPull if the file can't be read.
    """
    try:
        given: dict[str, Any] = json.loads(file.read_text())
        return Recipe(
            given["name"],
            given["config"],
            Path(given["dockerfile"]),
            Path(given["context"]),
            given.get("arguments") or {},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotPull(
            f"what stands here for the algorithm {name} can't be read from {file}: {error!r}",
            "workshop down; workshop up",
        ) from error

"""What the Docker tier shares: one small image, and the modules of the tests that run on both engines."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "local"))


@pytest.fixture(scope="session")
def small_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tag of an image that runs the Python code it is given."""
    import docker_images

    docker_images.build_small(tmp_path_factory.mktemp("image"))
    yield docker_images.SMALL
    docker_images.docker("image", "rm", "--force", docker_images.SMALL)

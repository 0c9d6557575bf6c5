"""Where SageMaker's built-in algorithms have their images: an account of AWS's own for each region.

Try it:  python -c "from workshop.aws import algorithms; print(algorithms.image('linear-learner', 'eu-west-1'))"
The accounts are those of the table in the SageMaker SDK, which the SDK itself is not imported for: that takes
seconds. Makes no call.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

from botocore.loaders import Loader
from botocore.regions import EndpointResolver

from workshop.aws import session
from workshop.errors import AwsError

TABLES = Path("core", "image_uri_config")
"""The folder of the tables in the package `sagemaker`."""


def image(algorithm: str, region: str | None = None, version: str = "1") -> str:
    """The address of a built-in algorithm's image; region: left out, the course's own.

    Errors: AwsError if the SDK's table knows no such algorithm, version or region.
    """
    region = region or session.current().region
    table = _table(algorithm)
    entry = table["versions"].get(version)
    if entry is None:
        raise AwsError(
            f"'{algorithm}' has no version '{version}' (versions: {', '.join(table['versions'])})",
            f"algorithms.image('{algorithm}')",
        )
    if region not in entry["registries"]:
        raise AwsError(
            f"SageMaker has no '{algorithm}' in {region} (regions: {', '.join(sorted(entry['registries']))})",
            "choose another: export WORKSHOP_REGION=…, or --region",
        )
    return f"{entry['registries'][region]}.dkr.{_registry(region)}/{entry['repository']}:{version}"


@functools.cache
def _table(algorithm: str) -> dict[str, Any]:
    found = importlib.util.find_spec("sagemaker")
    if found is None or not found.submodule_search_locations:
        raise AwsError("the SageMaker SDK is not installed here", "make setup")
    path = Path(found.submodule_search_locations[0]) / TABLES / f"{algorithm}.json"
    table = json.loads(path.read_text()) if path.is_file() else {}
    if "versions" not in table:
        raise AwsError(
            f"the SageMaker SDK has no table of a built-in algorithm '{algorithm}'",
            "https://docs.aws.amazon.com/sagemaker/latest/dg/algos.html names them",
        )
    return dict(table)


def _registry(region: str) -> str:
    """ECR's host in a region: other partitions of AWS have other domains."""
    resolver = EndpointResolver(Loader().load_data("endpoints"))
    found = resolver.construct_endpoint("ecr", region)
    return str(found["hostname"]).removeprefix("api.") if found else f"ecr.{region}.amazonaws.com"

"""A local AWS with a model's archive and what is made of it again and again: models, packages.

Not a test.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.config import Config
from clients_world import BUCKET, ClientsWorld, clients_world
from conformance import Watch
from conftest import session

ARTEFACT = f"s3://{BUCKET}/m/model.tar.gz"
# Refused by name, which no model foresees; and a tag's value may be empty, on AWS too.
KNOWN = ("UnsupportedOperation", "Tags[].Value is empty")


@contextlib.contextmanager
def records_world(folder: Path) -> Iterator[ClientsWorld]:
    """A local AWS whose answers are all held against botocore's model."""
    with clients_world(folder) as made:
        made.s3.put_object(Bucket=BUCKET, Key="m/model.tar.gz", Body=b"a model")
        watch = Watch(made.sagemaker)
        yield made
        assert [each for each in watch.checked() if not any(part in each for part in KNOWN)] == []


def unchecked(aws: ClientsWorld) -> Any:
    """A client that sends what it is given: what is wrong with it is the service's to say."""
    return session().client(
        "sagemaker",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{aws.port}",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )


def model(aws: ClientsWorld, name: str, **more: Any) -> dict[str, Any]:
    return {**aws.model(name, ARTEFACT), **more}


def with_container(aws: ClientsWorld, name: str, **members: Any) -> dict[str, Any]:
    """A model whose container differs; None takes a member away."""
    given = {**aws.model(name, ARTEFACT)["PrimaryContainer"], **members}
    container = {key: value for key, value in given.items() if value is not None}
    return model(aws, name, PrimaryContainer=container)


def specification(aws: ClientsWorld, **more: Any) -> dict[str, Any]:
    container = {"Image": aws.image, "ModelDataUrl": ARTEFACT, "Environment": {"A": "1", "B": "1"}}
    return {"Containers": [container], "SupportedContentTypes": ["text/csv"], **more}


def version(aws: ClientsWorld, group: str, **more: Any) -> str:
    made = aws.sagemaker.create_model_package(
        ModelPackageGroupName=group, **{"InferenceSpecification": specification(aws), **more}
    )
    return str(made["ModelPackageArn"])

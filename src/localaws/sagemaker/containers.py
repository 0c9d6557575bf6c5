"""Run one container of SageMaker's: its /opt/ml, its role's credentials, its place in the engine.

Try it:  python -m pytest tests/local/test_sagemaker_training.py
What is in /opt/ml: https://docs.aws.amazon.com/sagemaker/latest/dg/amazon-sagemaker-toolkits.html. A process can't have
a folder at that path: there the variable SAGEMAKER_BASE_DIR says where it is, and images must look. Knows no job and no
endpoint: whoever starts a container fills its folder, stops it and removes it.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localaws.ecs import hooks as ecs
from localaws.ecs import instance_types
from localaws.engine import Base, Container, ContainerSpec, Engine, Image
from localaws.engine.removal import remove_tree
from localaws.sagemaker import roles
from localaws.sagemaker.context import Context

BASE_PATH, BASE_VARIABLE = "/opt/ml", "SAGEMAKER_BASE_DIR"
FOLDER = "sagemaker"  # in the engine's own


@dataclass
class Running:
    """A started container. address: where its ports are. base: the folder that stands for its /opt/ml."""

    container: Container
    address: str
    base: Path

    def bring_back(self, name: str) -> Path:
        """What lies in /opt/ml/NAME, once the container has ended.

        Errors: EngineError.
        """
        return self.container.bring_back(name)

    def remove(self) -> None:
        """Take the ended container and its credentials away; its base stays until `remove_base`."""
        ecs.credentials().revoke(self.base.name)
        self.container.remove()


def new_base(engine: Engine, *names: str) -> Path:
    """A folder for one job or variant with these subfolders: what the container finds in its /opt/ml."""
    base = engine.folder / FOLDER / secrets.token_hex(8)
    for name in names:
        (base / name).mkdir(parents=True)
    return base


def remove_base(engine: Engine, base: Path) -> None:
    """Give back the disk, once the containers that have it are removed."""
    engine.remove_volumes(base)
    remove_tree(base)


def clean(engine: Engine) -> None:
    """Remove what a killed server left, before anything is started."""
    for base in (engine.folder / FOLDER).glob("*"):
        remove_base(engine, base)


def start(
    context: Context,
    *,
    name: str,
    image: Image,
    role_arn: str,
    base: Path,
    arguments: Sequence[str] = (),
    entry_point: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    memory_mib: int | None = None,
    gpu_ids: tuple[str, ...] = (),
    isolated: bool = False,
    stop_timeout_seconds: float = 30.0,
    labels: Mapping[str, str] | None = None,
) -> Running:
    """Start it in the account and region of the calling context; the subfolders of `base` become its /opt/ml.

    arguments: take the place of the image's CMD. isolated: without network and credentials. Several containers may
    have one base. Errors: EngineError.
    """
    credentials = {} if isolated else _credentials(context, role_arn, base.name)
    spec = ContainerSpec(
        name=name,
        image=image.reference,
        image_digest=image.digest,
        image_config=image.config,
        command=list(arguments) or None,
        entry_point=list(entry_point) or None,
        environment={**_region(), **credentials, **(environment or {})},
        memory_mib=memory_mib,
        gpus=len(gpu_ids),
        gpu_ids=gpu_ids,
        stop_timeout_seconds=stop_timeout_seconds,
        network="none" if isolated else "bridge",
        labels=dict(labels or {}),
        base=Base(base, BASE_PATH, BASE_VARIABLE),
    )
    try:
        container = context.engine.start(spec)
    except BaseException:
        ecs.credentials().revoke(base.name)
        raise
    return Running(container, container.address, base)


def memory_mib(instance_type: str) -> int | None:
    """What an instance of a type `ml.…` has; None for one that is not in the table: then nothing is limited."""
    found = instance_types.resources(instance_type.removeprefix("ml."))
    return found.memory_mib if found else None


def gpus(instance_type: str) -> int:
    """How many GPUs the type has."""
    found = instance_types.resources(instance_type.removeprefix("ml."))
    return found.gpus if found else 0


def _region() -> dict[str, str]:
    from ministack.core.responses import get_region

    return {"AWS_REGION": get_region(), "AWS_DEFAULT_REGION": get_region()}


def _credentials(context: Context, role_arn: str, owner: str) -> dict[str, str]:
    """The way to the role's credentials, as ECS gives it, and to this AWS instead of the real one."""
    endpoint = context.engine.endpoint_inside(context.endpoint)
    path, token = ecs.credentials().grant(role_arn, owner, roles.SESSION, roles.PRINCIPAL)
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint + path,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
    }

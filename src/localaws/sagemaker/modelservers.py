"""A model as SageMaker runs it: its artefact fetched with its role and unpacked, its image started with `serve`.

Try it:  aws sagemaker create-endpoint … with a model whose model.tar.gz was deleted meanwhile
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html: the argument, /opt/ml/model, port
8080, SIGTERM and 30 s. For endpoints and for batch transform; all of it from threads, in the request scope of the
resource's account and region. Knows no endpoint and no job.
"""

import contextvars
import logging
import os
import shutil
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path

from localaws import unpacking
from localaws.engine import EngineError, Exit, Image
from localaws.sagemaker import containers, images, joblogs, locations, roles
from localaws.sagemaker.context import Context
from localaws.sagemaker.hosting import NotServing
from localaws.sagemaker.invocationerrors import CONTAINER
from localaws.sagemaker.jobfailures import ANSWERS_NOT
from localaws.sagemaker.locations import Location
from localaws.sagemaker.store import Record
from localaws.sagemaker.variants import Address

PORT = 8080
MODEL = "model"  # in /opt/ml
ARTEFACT = "model.tar.gz"

logger = logging.getLogger("localaws.sagemaker")


class Model:
    """What containers of one model are started from. container: of the model's record. name: for its containers."""

    def __init__(
        self, context: Context, name: str, container: Record, role_arn: str, instance_type: str
    ) -> None:
        self._context, self._name, self._container = context, name, container
        self._role_arn, self._instance_type = role_arn, instance_type
        self._image: Image | None = None
        self._prepared: Path | None = None

    def prepare(self) -> None:
        """Pull the image and fetch the artefact, once for all containers.

        Errors: NotServing, EngineError.
        """
        if not roles.trusted(self._role_arn):
            raise NotServing(roles.cannot_assume(self._role_arn).message)
        self._image = images.pull(self._context, self._container["Image"], self._role_arn)
        self._prepared = containers.new_base(self._context.engine, MODEL)
        if self._container.get("ModelDataUrl"):
            fetch(self._context, self._role_arn, self._container["ModelDataUrl"], self._prepared)

    @property
    def resolved_image(self) -> str:
        """The image's address by its digest."""
        given = str(self._container["Image"])
        if not self._image or not self._image.digest or "@" in given:
            return given
        repository = given.rpartition(":")[0] if ":" in given.rpartition("/")[2] else given
        return f"{repository}@{self._image.digest}"

    def launch(self, group: str, stream: str, environment: Mapping[str, str] | None = None) -> "ModelServer":
        """Start a container whose lines go to a log stream.

        Errors: EngineError.
        """
        assert self._image and self._prepared
        base = containers.new_base(self._context.engine, MODEL)
        shutil.copytree(
            self._prepared / MODEL, base / MODEL, dirs_exist_ok=True, symlinks=True, copy_function=os.link
        )
        try:
            running = containers.start(
                self._context,
                name=self._name,
                image=self._image,
                role_arn=self._role_arn,
                base=base,
                arguments=("serve",),
                environment={
                    "SAGEMAKER_BIND_TO_PORT": str(PORT),
                    **(self._container.get("Environment") or {}),
                    **(environment or {}),
                },
                memory_mib=containers.memory_mib(self._instance_type),
            )
        except BaseException:
            containers.remove_base(self._context.engine, base)
            raise
        log = joblogs.Log(self._role_arn, group, stream)
        log.open()
        server = ModelServer(self._context, running)
        within = contextvars.copy_context()
        lines = threading.Thread(
            target=within.run, args=(log.write, running.container.log_batches()), daemon=True
        )
        lines.start()
        return server

    def remove(self) -> None:
        """Give back the disk; containers keep what they have."""
        if self._prepared:
            containers.remove_base(self._context.engine, self._prepared)


class ModelServer:
    """A started container of a model."""

    def __init__(self, context: Context, running: containers.Running) -> None:
        self.address: Address = (running.address, PORT)
        self._context, self._running = context, running
        self._lock = threading.Lock()
        self._removed = False

    def wait(self, timeout_seconds: float) -> Exit | None:
        """The exit, once there is one; None if the time passed before."""
        return self._running.container.wait(timeout_seconds)

    def usage(self) -> tuple[float, float] | None:
        """(processor time in seconds, memory in MiB); None once it has ended."""
        used = self._running.container.usage()
        return (used.cpu_seconds, used.memory_mib) if used else None

    def stop(self, timeout_seconds: float) -> None:
        """SIGTERM, SIGKILL after the time; then its folder and credentials go. A second call waits for the first."""
        with self._lock:
            if self._removed:
                return
            self._removed = True
            try:
                self._running.container.stop(timeout_seconds)
                self._running.remove()
                containers.remove_base(self._context.engine, self._running.base)
            except EngineError as error:
                logger.warning("a container could not be ended: %s", error.message)


def fetch(context: Context, role_arn: str, url: str, base: Path) -> None:
    """Put what is in a model.tar.gz into /opt/ml/model of a base.

    Errors: NotServing in AWS's words.
    """
    place = locations.parse(url)
    if place is None:
        raise _not_downloaded(url)
    packed = base / ARTEFACT
    try:
        body = roles.client(context, role_arn).get_object(Bucket=place.bucket, Key=place.key)["Body"]
        with packed.open("wb") as file:
            shutil.copyfileobj(body, file, locations.COPY_BYTES)
    except ANSWERS_NOT as error:
        logger.warning("model data %s: %s", place.uri, error)
        raise _not_downloaded(place.uri) from error
    unpack(packed, base / MODEL, place)


def _not_downloaded(uri: str) -> NotServing:
    return NotServing(
        f'Failed to download model data for container "{CONTAINER}" from URL: "{uri}". Please ensure that there is an '
        "object located at the URL and that the role passed to CreateModel has permissions to download the model."
    )


def unpack(packed: Path, folder: Path, place: Location) -> None:
    """Unpack a model.tar.gz and remove it; what would lie outside of the folder, or is no file, is refused.

    Errors: NotServing in AWS's words.
    """
    try:
        unpacking.unpack(packed, folder)
    except (tarfile.TarError, OSError) as error:
        logger.warning("model data %s: %s", place.uri, error)
        raise NotServing(
            f'Failed to extract model data archive for container "{CONTAINER}" from URL "{place.uri}". Please ensure '
            "that the object located at the URL is a valid tar.gz archive"
        ) from error
    finally:
        packed.unlink(missing_ok=True)

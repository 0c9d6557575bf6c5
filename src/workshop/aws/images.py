"""Build, look into and push the course's container images, with Docker or without.

Try it:  from workshop.aws import images; print(images.build("mxnet")); print(images.push("mxnet"))
Where there is Docker, Docker builds an image from its Dockerfile. Where there is none, `layout` makes what the
process engine needs: the configuration. `engine_reason` says which of the two.
"""

from __future__ import annotations

import shutil
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop.aws import docker, layout, programs, registry, session, stacks
from workshop.aws.failures import explained
from workshop.aws.session import Aws
from workshop.errors import AwsError
from workshop.settings import Settings

IMAGES = ("mxnet", "tensorflow")
"""What jobs run in: lab 2 builds them all."""
SERVICE_IMAGES = ("serving",)
"""What lab 6 serves with."""
DAG_IMAGES = ("airflow",)
"""What runs a DAG away from this machine; no lab needs it."""
EVERY = (*IMAGES, *SERVICE_IMAGES, *DAG_IMAGES)
TAG, GPU_TAG = "latest", "gpu"
DOCKERFILES = "docker/{name}/Dockerfile", "docker/jobs/Dockerfile"
"""Where an image is described: in a folder of its own, else as one of those that jobs run in."""
IMAGE_LABEL = "workshop.image"
ENVIRONMENT_LABEL = "workshop.environment"
# Names that the local AWS gives to what it builds by itself, in the place of SageMaker's own images.
BUILT_BY_LOCAL_AWS = "localaws/"
# What `layout` makes, a configuration and the list of the files that would be copied, is far below this.
LARGEST_LAYOUT_BYTES = 512 * 1024
SHOWN_CHARACTERS = 90  # of an instruction, in a list of steps


@dataclass(frozen=True)
class Image:
    """An image that was built. digest: of the manifest once pushed or without Docker; of the image else."""

    name: str
    uri: str
    digest: str
    engine: str
    layers: int
    size_bytes: int


@dataclass(frozen=True)
class Layer:
    """One step of an image. size_bytes is 0 for a step that only configures."""

    created_by: str
    size_bytes: int


@dataclass(frozen=True)
class Inspection:
    """What an image says of itself."""

    name: str
    engine: str
    environment: dict[str, str]
    entry_point: list[str]
    command: list[str]
    working_directory: str
    user: str
    ports: list[str]
    labels: dict[str, str]
    layers: list[Layer]


def engine(aws: Aws | None = None) -> str:
    """'docker' or 'process'. Errors: AwsError if Docker is asked for or needed, and is not there."""
    return _choose(aws or session.current())[0]


def engine_reason(aws: Aws | None = None) -> str:
    """One sentence that says why this engine."""
    return _choose(aws or session.current())[1]


def build(
    name: str,
    on_line: Callable[[str], None] | None = None,
    aws: Aws | None = None,
    gpu: bool = False,
    base: str = "",
) -> Image:
    """Build an image with the repository as its context.

    gpu: with the wheels for NVIDIA's GPUs, under a tag of its own. base: another base image, as
    python@sha256:… where a registry is reached.
    """
    aws = aws or session.current()
    path = dockerfile_of(name, aws.settings)
    if gpu and engine(aws) != "docker":
        raise AwsError(
            f"the image '{name}' for GPUs needs Docker: the process engine has no image layers",
            "start Docker, then: workshop down, WORKSHOP_ENGINE=docker workshop up",
        )
    uri = f"{_repository(name, aws)}:{_tag(gpu)}"
    report = on_line or (lambda line: None)
    arguments = _arguments(name, gpu, base)
    if engine(aws) == "docker":
        target = docker_uri(name, aws, gpu)
        docker.build(path, aws.settings.root, [uri, target], report, arguments)
        return _docker_image(name, uri, docker.inspect(target))
    made = layout.make(path, aws.settings.root, arguments)
    history = made.config["history"]
    for number, step in enumerate(history, 1):
        what = textwrap.shorten(step["created_by"], SHOWN_CHARACTERS, placeholder=" …")
        report(f"[{number}/{len(history)}] {what}   ({step.get('comment', 'layer')})")
    layout.save(made, _folder(name, aws.settings))
    report(f"{made.digest}  {name}")
    return _layout_image(name, uri, made)


def push(
    name: str, on_line: Callable[[str], None] | None = None, aws: Aws | None = None, gpu: bool = False
) -> Image:
    """Push what was built to the course's repository in ECR. Errors: AwsError if nothing was built yet."""
    aws = aws or session.current()
    dockerfile_of(name, aws.settings)
    repository = stacks.output(f"{name.capitalize()}RepositoryUri", aws)
    if engine(aws) == "docker":
        target = docker_uri(name, aws, gpu)
        host = target.partition("/")[0]
        docker.login(host, *registry.login(aws))
        try:
            digest = docker.push(target, on_line or (lambda line: None))
        finally:
            docker.logout(host)
        built = docker.inspect(target)
        return _docker_image(name, f"{repository}:{_tag(gpu)}", {**built, "Id": digest or built["Id"]})
    made = _built(name, aws.settings)
    digest = registry.push(made, repository, TAG, aws)
    if on_line:
        on_line(f"{TAG}: digest: {digest} size: {made.size_bytes}")
    return _layout_image(name, f"{repository}:{TAG}", made)


def is_pushed(name: str, aws: Aws | None = None) -> bool:
    """Whether ECR has an image that the engine can run: one made without Docker holds no file system for it."""
    aws = aws or session.current()
    repository = stacks.outputs(None, aws).get(f"{name.capitalize()}Repository")
    if not repository:
        return False
    ecr = aws.client("ecr")
    with explained(f"look at the images of {repository}"):
        try:
            answer = ecr.describe_images(repositoryName=repository, filter={"tagStatus": "TAGGED"})
        except ecr.exceptions.RepositoryNotFoundException:  # deleted by hand: its stack still names it
            return False
    needs_layers = not aws.is_local or _local_engine(aws) == "docker"
    smallest = LARGEST_LAYOUT_BYTES if needs_layers else 0
    return any(each.get("imageSizeInBytes", 0) > smallest for each in answer["imageDetails"])


def inspect(name: str, aws: Aws | None = None, gpu: bool = False) -> Inspection:
    """Look into an image that was built."""
    aws = aws or session.current()
    dockerfile_of(name, aws.settings)
    if engine(aws) == "docker":
        target = docker_uri(name, aws, gpu)
        layers = [Layer(step, size) for step, size in docker.history(target)]
        return _inspection(name, "docker", docker.inspect(target)["Config"], layers)
    made = _built(name, aws.settings)
    steps = made.config["history"]
    sizes = [0 if step.get("empty_layer") else _layer_bytes(made) for step in steps]
    layers = [Layer(step["created_by"], size) for step, size in zip(steps, sizes, strict=True)]
    return _inspection(name, "process", made.config["config"], layers)


def shell(name: str, command: list[str], timeout_seconds: float = 120, aws: Aws | None = None) -> str:
    """Run one command inside the image and return what it printed. Errors: AwsError if it fails.

    With the process engine: in the image's environment, with its variables, in an empty folder; there is no
    file system of its own.
    """
    aws = aws or session.current()
    if engine(aws) == "docker":
        return docker.run(docker_uri(name, aws), command, timeout_seconds)
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as scratch:
        inside = variables(name, scratch, aws)
        return programs.output_of(command, timeout_seconds, environment=inside, folder=Path(scratch))


def variables(name: str, home: str, aws: Aws) -> dict[str, str]:
    """Without Docker: the variables that a command in the image has. Errors: AwsError without its environment."""
    seen = inspect(name, aws)
    environment = aws.settings.root / ".venvs" / seen.labels.get(ENVIRONMENT_LABEL, name)
    if not (environment / "bin").is_dir():
        raise AwsError(
            f"the image '{name}' needs the environment {environment.name}, not set up here", "make setup"
        )
    return {
        **seen.environment,
        "PATH": f"{environment / 'bin'}:{seen.environment.get('PATH', '/usr/bin:/bin')}",
        "HOME": home,
        "WORKSHOP_ROOT": str(aws.settings.root),
    }


def docker_uri(name: str, aws: Aws, gpu: bool = False) -> str:
    """The tag that Docker pushes to: the repository, at the local AWS's address where it is local."""
    host, repository = registry.address(_repository(name, aws), aws)
    return f"{host}/{repository}:{_tag(gpu)}"


def dockerfile_of(name: str, settings: Settings) -> Path:
    """The file that describes an image. Errors: AwsError if the course has no such image."""
    if name not in EVERY:
        raise AwsError(f"there is no image '{name}' (images: {', '.join(EVERY)})")
    places = [(settings.root / place.format(name=name)).resolve() for place in DOCKERFILES]
    return next((place for place in places if place.is_file()), places[-1])


def forget(aws: Aws | None = None) -> int:
    """Remove from this machine what was built for this course, and return how many names that were.

    What the local AWS built for itself goes too, unless a container of another course's is made from it.
    Docker's build cache stays, so building again takes seconds; `docker builder prune` empties it.
    """
    aws = aws or session.current()
    shutil.rmtree(aws.settings.state_dir / "images", ignore_errors=True)
    if docker.absent():
        return 0
    own = f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/{aws.name}-"
    host = registry.address(own, aws)[0]
    names = docker.names(IMAGE_LABEL)
    mine = [name for name in names if name.startswith((own, f"{host}/{aws.name}-"))]
    if mine:
        docker.remove(mine, IMAGE_LABEL)
    shared = [name for name in names if aws.is_local and name.startswith(BUILT_BY_LOCAL_AWS)]
    return len(mine) + sum(map(docker.remove_unused, shared))


def _choose(aws: Aws) -> tuple[str, str]:
    wish = aws.settings.engine
    absent = docker.absent() if wish != "process" or not aws.is_local else ""
    if not aws.is_local:
        if absent:
            raise AwsError(
                f"images for AWS are built with Docker, and {absent}", "install Docker, or --target local"
            )
        return "docker", "images for AWS are built with Docker"
    if wish == "process":
        return "process", "the setting engine is 'process'"
    running = _local_engine(aws)
    if wish == "docker":
        if absent:
            raise AwsError(
                f"the setting engine is 'docker', and {absent}", "start Docker, or WORKSHOP_ENGINE=process"
            )
        if running == "process":
            raise AwsError(
                "the setting engine is 'docker', and the local AWS runs with the process engine",
                "workshop down, then WORKSHOP_ENGINE=docker workshop up",
            )
        return "docker", "the setting engine is 'docker', and Docker answers"
    if running != "docker":
        why = f"{absent}: containers run as processes"
        return "process", why if absent else "the local AWS was started with the process engine"
    if absent:
        raise AwsError(
            f"the local AWS runs containers with Docker, and {absent}",
            "start Docker, or: workshop down, then WORKSHOP_ENGINE=process workshop up",
        )
    return "docker", "Docker answers, and the local AWS runs containers with it"


def _local_engine(aws: Aws) -> str:
    from localaws import daemon  # finding the local AWS is all that this package knows of it

    running = daemon.status(aws.settings.state_dir)
    return running.engine if running else "process"


def _tag(gpu: bool) -> str:
    return GPU_TAG if gpu else TAG


def _arguments(name: str, gpu: bool, base: str) -> dict[str, str]:
    """Build arguments; a Dockerfile that has no use for one leaves it."""
    given = {"IMAGE": name}
    if gpu:
        given["LOCK"] = f"{name}-gpu"
    if base:
        given["BASE_IMAGE"] = base
    return given


def _repository(name: str, aws: Aws) -> str:
    """The repository's URI, or a name of the same form before the storage stack is there."""
    own = f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/{aws.name}-{name}"
    return stacks.outputs(None, aws).get(f"{name.capitalize()}RepositoryUri", own)


def _folder(name: str, settings: Settings) -> Path:
    return settings.state_dir / "images" / name


def _built(name: str, settings: Settings) -> layout.Layout:
    made = layout.load(_folder(name, settings))
    if made is None:
        raise AwsError(
            f"the image '{name}' is not built yet", f"images.build('{name}'), or workshop prepare 3"
        )
    return made


def _layer_bytes(made: layout.Layout) -> int:
    config = next(iter(made.blobs))
    return sum(len(blob) for digest, blob in made.blobs.items() if digest != config)


def _layout_image(name: str, uri: str, made: layout.Layout) -> Image:
    layers = len(made.config["rootfs"]["diff_ids"])
    return Image(name, uri, made.digest, "process", layers, made.size_bytes)


def _docker_image(name: str, uri: str, seen: dict[str, Any]) -> Image:
    return Image(name, uri, seen["Id"], "docker", len(seen["RootFS"]["Layers"]), int(seen["Size"]))


def _inspection(name: str, engine: str, config: dict[str, Any], layers: list[Layer]) -> Inspection:
    pairs = (entry.partition("=") for entry in config.get("Env") or [])
    return Inspection(
        name=name,
        engine=engine,
        environment={key: value for key, _, value in pairs},
        entry_point=list(config.get("Entrypoint") or []),
        command=list(config.get("Cmd") or []),
        working_directory=config.get("WorkingDir", ""),
        user=config.get("User", ""),
        ports=sorted(config.get("ExposedPorts") or {}),
        labels=dict(config.get("Labels") or {}),
        layers=layers,
    )

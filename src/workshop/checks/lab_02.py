"""Lab 2: both images are in ECR, are what a task needs, and run a command.

Try it:  workshop check 2
"""

from typing import Any

from workshop.aws import images, session, stacks
from workshop.checkpoints import Check, Failed
from workshop.checks import image_configuration
from workshop.errors import AwsError

TAG = "latest"
EXERCISE_TAG = "mine"
ENVIRONMENT = "workshop.environment"
FRAMEWORKS = {"mxnet": "mxnet", "tensorflow": "keras"}
ROOT = ("", "root", "0", "0:0")


def mxnet_is_in_ecr() -> str:
    """The learner has pushed the MXNet image."""
    return _is_in_ecr("mxnet")


def tensorflow_is_in_ecr() -> str:
    """The learner has pushed the TensorFlow image."""
    return _is_in_ecr("tensorflow")


def environments_are_labelled() -> str:
    """Each image's label names the environment that holds its framework."""
    named = {name: _configuration(name).get("Labels", {}).get(ENVIRONMENT, "") for name in images.IMAGES}
    missing = [name for name, label in named.items() if not label]
    if missing:
        raise Failed(
            f"the image {missing[0]} has no label {ENVIRONMENT}",
            "Without Docker, the local AWS finds by this label the environment that stands for the layers.",
            f"put LABEL {ENVIRONMENT}=… back into docker/jobs/Dockerfile, then workshop prepare 3",
        )
    return "labels name the environments: " + ", ".join(f"{k} runs in {v}" for k, v in named.items())


def entry_point_is_workshop() -> str:
    """Each image starts the `workshop` command, so a task's command is what one would type after it."""
    for name in images.IMAGES:
        found = _configuration(name).get("Entrypoint")
        if found != ["workshop"]:
            raise Failed(
                f"the image {name} starts {found}, and ['workshop'] was expected",
                "ECS appends a task's command to the entry point: with another one, every job fails at its "
                "start. The exec form (a list) matters too: a shell would not pass SIGTERM on.",
                'put ENTRYPOINT ["workshop"] back into docker/jobs/Dockerfile, build and push it again',
            )
    return "both images start the workshop command"


def nobody_is_root() -> str:
    """No image runs as root."""
    for name in images.IMAGES:
        user = str(_configuration(name).get("User", ""))
        if user in ROOT:
            raise Failed(
                f"the image {name} runs as root",
                "Whoever breaks out of a notebook in a container that runs as root is root on its instance.",
                "put USER back into docker/jobs/Dockerfile, build and push it again",
            )
    return "neither image runs as root"


def commands_run_inside() -> str:
    """A command in each image finds its framework."""
    said = []
    for name, package in FRAMEWORKS.items():
        question = f"from importlib.metadata import version; print(version('{package}'))"
        try:
            said.append(f"{package} {images.shell(name, ['python', '-c', question]).strip()}")
        except AwsError as error:
            raise Failed(
                f"a command in the image {name} failed: {error.message}",
                "The image was built, but what it should hold can't be started.",
                error.remedy or f"images.build('{name}') again, and read its lines",
            ) from error
    return f"a command inside each image finds its framework: {', '.join(said)}"


def second_tag_is_the_same_image() -> str:
    """The exercise: a tag is a name for a digest. Give the MXNet image a second one, pushing no byte.

    The learner has read the manifest of 'latest' with ecr.batch_get_image, and put it again with
    ecr.put_image and imageTag='mine'.
    """
    aws, repository = session.current(), stacks.output("MxnetRepository")
    details = aws.client("ecr").describe_images(repositoryName=repository)["imageDetails"]
    digests = {tag: each["imageDigest"] for each in details for tag in each.get("imageTags", [])}
    fix = f"ecr.put_image(…, imageManifest=<the manifest of '{TAG}'>, imageTag='{EXERCISE_TAG}')"
    if EXERCISE_TAG not in digests:
        have = ", ".join(sorted(digests)) or "none"
        raise Failed(
            f"repository {repository} has no tag '{EXERCISE_TAG}' (tags: {have})",
            "Putting a manifest that is there already, under another tag, adds a name and copies nothing.",
            fix,
        )
    if digests[EXERCISE_TAG] != digests.get(TAG):
        raise Failed(
            f"'{EXERCISE_TAG}' is {digests[EXERCISE_TAG][:19]}, and '{TAG}' is {str(digests.get(TAG))[:19]}",
            f"They are two images: '{TAG}' has been pushed again since, or another manifest was put.",
            fix,
        )
    return f"'{TAG}' and '{EXERCISE_TAG}' are one image, {digests[TAG][:19]}"


def _is_in_ecr(name: str) -> str:
    repository = stacks.output(f"{name.capitalize()}Repository")
    details = session.current().client("ecr").describe_images(repositoryName=repository)["imageDetails"]
    digest = next((each["imageDigest"] for each in details if TAG in each.get("imageTags", [])), "")
    if not digest:
        raise Failed(
            f"repository {repository} has no image '{TAG}' ({len(details)} images in all)",
            "It was built, perhaps, but not pushed: ECS pulls from ECR, not from your machine.",
            "workshop prepare 3",
        )
    return f"image {name}:{TAG} is in ECR as {digest[:19]}"


def _configuration(name: str) -> dict[str, Any]:
    aws = session.current()
    found = image_configuration.read(stacks.output(f"{name.capitalize()}RepositoryUri", aws), TAG, aws)
    if found is None:
        raise Failed(f"the image {name}:{TAG} can't be pulled", "It is not in ECR.", "workshop prepare 3")
    return found


CHECKS: tuple[Check, ...] = (
    mxnet_is_in_ecr,
    tensorflow_is_in_ecr,
    environments_are_labelled,
    entry_point_is_workshop,
    nobody_is_root,
    commands_run_inside,
)
YOUR_TURN: tuple[Check, ...] = (second_tag_is_the_same_image,)

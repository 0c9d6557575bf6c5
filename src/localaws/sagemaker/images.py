"""Images of training jobs and models: one's own from ECR, and those of built-in algorithms.

Try it:  aws sagemaker create-training-job … with the TrainingImage of XGBoost   (refused, with what there is)
`check` is for the Create* calls and says what AWS says; `pull` is for the job. Rights of ECR are asked of the job's
role, for the actions that the agent of ECS asks for too; AWS's own images are open to SageMaker. Knows no job.
"""

import re
import threading
from dataclasses import dataclass

from localaws.engine import CannotPull, Image
from localaws.sagemaker import algorithms, roles
from localaws.sagemaker.context import Context
from localaws.sagemaker.refusals import Refused, invalid

_ADDRESS = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/"
    r"(?P<repository>[a-z0-9._/-]+)(:(?P<tag>[\w.-]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
PULL = ("BatchGetImage", "GetDownloadUrlForLayer")
# AWS's reason for a training job whose image can't be had.
CANNOT_PULL = (
    "Cannot pull algorithm container. Either the image does not exist or its permissions are incorrect."
)


@dataclass(frozen=True)
class Address:
    """The parts of an image's address in ECR."""

    text: str
    account: str
    region: str
    repository: str
    tag: str
    digest: str


def check(context: Context, image: str) -> None:
    """Refuse an address that no job here could run: not ECR's, of another region, not there, not emulated."""
    from ministack.core.responses import get_account_id, get_region

    found = _parsed(image)
    if found is None:
        raise invalid(
            f"Invalid image URI {image}. Please provide a valid Amazon Elastic Container Registry path of the Docker "
            "image to run."
        )
    if found.account != get_account_id():
        if algorithm(context, image) is None or found.region != get_region():
            raise _not_emulated(context, found)
        return
    if found.region != get_region():
        raise invalid(
            f"Image {image} is in the region {found.region}; a job in {get_region()} takes images of that region."
        )
    if not _is_there(found):
        raise invalid(f"Requested image {image} not found.")


def algorithm(context: Context, image: str) -> str | None:
    """The built-in algorithm whose image this is, if it can run here."""
    found = _parsed(image)
    if found is None:
        return None
    return algorithms.named(
        found.account, found.region, found.repository, found.tag or "latest", context.algorithms
    )


def may_not_pull(image: str, role_arn: str) -> str | None:
    """The action that the role lacks, in AWS's sentence for endpoints; None if it may pull or need not ask."""
    found = _parsed(image)
    if found is None or found.account != role_arn.split(":")[4]:
        return None
    arn = f"arn:aws:ecr:{found.region}:{found.account}:repository/{found.repository}"
    wanted = [("GetAuthorizationToken", "*"), *((action, arn) for action in PULL)]
    for action, resource in wanted:
        if roles.denied(role_arn, f"ecr:{action}", resource):
            return f"The role '{role_arn}' does not have {action} permission for the image: '{image}'."
    return None


def pull(context: Context, image: str, role_arn: str, stop: threading.Event | None = None) -> Image:
    """The image, ready to start. stop: once it is set, building one is given up.

    Errors: CannotPull.
    """
    name = algorithm(context, image)
    if name:
        return context.engine.provide(algorithms.recipe(name, context.algorithms[name]), stop)
    missing = may_not_pull(image, role_arn)
    if missing:
        raise CannotPull(missing, f"put the action into the policy of {role_arn}")
    return context.engine.pull(image)


def _parsed(image: str) -> Address | None:
    matched = _ADDRESS.fullmatch(image)
    if not matched:
        return None
    return Address(
        image,
        matched["account"],
        matched["region"],
        matched["repository"],
        matched["tag"] or "",
        matched["digest"] or "",
    )


def _is_there(found: Address) -> bool:
    from ministack.services import ecr

    if found.repository not in ecr._repositories:
        return False
    wanted = {"imageDigest": found.digest} if found.digest else {"imageTag": found.tag or "latest"}
    return ecr._find_image(found.repository, wanted) is not None


def _not_emulated(context: Context, found: Address) -> Refused:
    """An image of AWS's or of somebody else's account."""
    from ministack.core.responses import get_region

    addresses = [algorithms.address(name, get_region()) for name in sorted(context.algorithms)]
    have = ", ".join(each for each in addresses if each) or "none"
    return invalid(
        f"The local AWS does not have the image {found.text}. Of AWS's own images it has these in {get_region()}: "
        f"{have}. Images of your own account's ECR run as they are."
    )

"""Whether a model's archive is there, and its role may read it.

Try it:  aws sagemaker create-model with a role that may not read ModelDataUrl
Asked of IAM and S3 in this process: nothing is read. Knows no records.
"""

from localaws.sagemaker import locations, roles
from localaws.sagemaker.refusals import Refused, invalid


def check(role_arn: str, url: str | None) -> None:
    """Errors: Refused, if the role can't be used, or not for this archive; as CreateModel says it on AWS.

    Of an object that is not there S3 tells only who may list the bucket; to others it looks forbidden.
    """
    if not url:
        roles.check(role_arn)
        return
    place = locations.parse(url)
    if place is None:
        raise invalid(f"Invalid ModelDataUrl {url}. Please provide a path in S3.")
    bucket = f"arn:aws:s3:::{place.bucket}"
    allowed = roles.trusted(role_arn) and not roles.denied(role_arn, "s3:GetObject", f"{bucket}/{place.key}")
    there = _is_there(place)
    if allowed and not there and not roles.denied(role_arn, "s3:ListBucket", bucket):
        raise invalid(f"Could not find model data at {url}.")
    if not allowed or not there:
        raise _no_access(role_arn, url)


def _no_access(role_arn: str, url: str) -> Refused:
    from ministack.core.responses import get_region

    return invalid(
        f'Could not access model data at {url}. Please ensure that the role "{role_arn}" exists and that its trust '
        'relationship policy allows the action "sts:AssumeRole" for the service principal '
        f'"{roles.PRINCIPAL}". Also ensure that the role has "s3:GetObject" permissions and that the '
        f"object is located in {get_region()}. If your Model uses multiple models or uncompressed models, please "
        'ensure that the role has "s3:ListBucket" permission.'
    )


def _is_there(place: locations.Location) -> bool:
    from ministack.services import s3

    return place.key in (s3._buckets.get(place.bucket) or {}).get("objects", {})

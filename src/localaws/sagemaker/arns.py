"""ARNs of SageMaker's resources.

Try it:  aws sagemaker create-model --model-name Mine …   (the answer's ARN ends with model/mine)
SageMaker writes names into ARNs in lower case, and names that differ in case alone are one
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html, EndpointName). Knows no resource.
"""


def arn(kind: str, name: str) -> str:
    """The ARN in the account and region of the request; kind: such as `training-job`."""
    from ministack.core.responses import get_account_id, get_region

    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind}/{name.lower()}"


def key(name: str) -> str:
    """By what the store knows a name."""
    return name.lower()


def parsed(resource_arn: str) -> tuple[str, str]:
    """(kind, key) of a resource of this account and region; ('', '') for any other text."""
    start = arn("", "").removesuffix("/")
    kind, slash, name = resource_arn.removeprefix(start).partition("/")
    if not resource_arn.startswith(start) or not slash:
        return "", ""
    return kind, key(name)


def name_of(name_or_arn: str, kind: str) -> str:
    """The name, where AWS takes either; '' for an ARN of something else."""
    if not name_or_arn.startswith("arn:"):
        return name_or_arn
    found, name = parsed(name_or_arn)
    return name if found == kind else ""

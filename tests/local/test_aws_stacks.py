"""Stacks and what is left of them, on the local AWS: deploy, wire, fail, clean, prove."""

from collections.abc import Iterator

import course_world
import pytest

from workshop.aws import cleaning, images, leftovers, objects, stacks, task_definitions
from workshop.aws.session import Aws
from workshop.aws.stack_events import Event
from workshop.errors import AwsError

pytestmark = pytest.mark.local

BROKEN = """\
Resources:
  First:
    Type: AWS::S3::Bucket
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties: {BucketName: taken-by-somebody}
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory) -> Iterator[Aws]:
    with course_world.course(tmp_path_factory.mktemp("stacks")) as found:
        yield found


@pytest.fixture(scope="module")
def deployed(aws) -> dict[str, list[Event]]:
    """The first three stacks, with the events of each."""
    happened: dict[str, list[Event]] = {}
    for concern in ("network", "storage", "cluster"):
        happened[concern] = []
        stacks.deploy(concern, on_event=happened[concern].append, aws=aws)
    return happened


def test_stack_that_is_not_there_has_no_status_and_its_outputs_name_the_remedy(aws):
    assert stacks.status("upload", aws) is None
    with pytest.raises(AwsError, match="no stack 'course-1-upload' in eu-west-3") as caught:
        stacks.outputs("upload", aws)
    assert caught.value.remedy == "workshop run 4"


def test_events_come_once_each_and_end_with_the_stack(aws, deployed):
    for concern, events in deployed.items():
        assert len({each.id for each in events}) == len(events)
        assert (events[-1].logical_id, events[-1].status) == (f"course-1-{concern}", "CREATE_COMPLETE")
        assert [each.time for each in events] == sorted(each.time for each in events)
    assert {"Vpc", "FirstSubnet"} <= {each.logical_id for each in deployed["network"]}


def test_parameters_are_filled_from_the_outputs_of_other_stacks(aws, deployed):
    given = {
        each["ParameterKey"]: each["ParameterValue"] for each in stacks.describe("cluster", aws)["Parameters"]
    }
    have = {**stacks.outputs("network", aws), **stacks.outputs("storage", aws)}
    for name in ("SubnetIds", "InputBucket", "MxnetRepositoryArn"):
        assert given[name] == have[name]
    assert given["WorkshopName"] == "course-1"


def test_deploying_again_changes_nothing_and_is_no_error(aws, deployed):
    events: list[Event] = []
    assert stacks.deploy("network", on_event=events.append, aws=aws) == stacks.outputs("network", aws)
    assert events == []


def test_update_keeps_what_nobody_says_again(aws, deployed):
    stacks.deploy("cluster", aws=aws, MaxInstances="3")
    stacks.deploy("cluster", aws=aws, RootVolumeGib="70")
    given = {
        each["ParameterKey"]: each["ParameterValue"] for each in stacks.describe("cluster", aws)["Parameters"]
    }
    assert (given["MaxInstances"], given["RootVolumeGib"]) == ("3", "70")


def test_unknown_parameter_is_refused_with_the_nearest(aws, deployed):
    with pytest.raises(AwsError, match="did you mean Compute"):
        stacks.deploy("cluster", aws=aws, Computer="gpu")


def test_unknown_template_is_refused_with_those_there_are(aws):
    with pytest.raises(AwsError, match="cluster, deploy-role, network"):
        stacks.deploy("netwerk", aws=aws)


def test_failed_stack_names_its_first_resource_and_can_be_deployed_again(aws, monkeypatch):
    aws.client("s3").create_bucket(
        Bucket="taken-by-somebody", CreateBucketConfiguration={"LocationConstraint": aws.region}
    )
    monkeypatch.setattr(stacks, "_template", lambda concern, aws: BROKEN)
    for _ in range(2):  # the second time it finds the dead stack of the first
        with pytest.raises(AwsError, match=r"First \(AWS::S3::Bucket\)"):
            stacks.deploy("broken", aws=aws)
    aws.client("s3").delete_bucket(Bucket="taken-by-somebody")
    stacks.deploy("broken", aws=aws)
    assert stacks.status("broken", aws) == "CREATE_COMPLETE"
    assert stacks.delete("broken", aws=aws) is True
    assert stacks.delete("broken", aws=aws) is False


def test_upload_stack_gets_the_packaged_function(aws, deployed):
    outputs = stacks.deploy("upload", aws=aws)
    code = aws.client("lambda").get_function(FunctionName=outputs["ClassifyFunctionName"])["Configuration"]
    assert code["CodeSize"] > 0
    before = objects.list(f"s3://{stacks.output('AssetsBucket', aws)}/functions/", aws)
    stacks.deploy("upload", aws=aws)
    assert objects.list(f"s3://{stacks.output('AssetsBucket', aws)}/functions/", aws) == before


def test_clean_up_empties_what_refuses_deletion_and_leaves_nothing(aws, deployed):
    bucket = stacks.output("InputBucket", aws)
    for content in (b"1", b"2"):
        objects.write_bytes(f"s3://{bucket}/cat.jpg", content, aws)
    objects.delete([f"s3://{bucket}/cat.jpg"], aws)
    aws.client("s3").create_multipart_upload(Bucket=bucket, Key="half")
    images.build("mxnet", aws=aws)
    images.push("mxnet", aws=aws)
    task_definitions.register("probe", aws=aws)
    aws.client("logs").create_log_group(logGroupName="/aws/lambda/course-1-upload-ClassifyFunction-X")

    with pytest.raises(AwsError, match="course-1-storage ended as DELETE_FAILED") as caught:
        stacks.delete("storage", aws=aws)
    assert "workshop clean" in caught.value.remedy
    kinds = {each.kind for each in leftovers.find(aws)}
    assert {
        "stack",
        "bucket",
        "repository",
        "role",
        "task definition",
        "VPC",
        "log group",
        "cluster",
    } <= kinds

    said: list[str] = []
    cleaned = cleaning.clean(on_line=said.append, aws=aws)
    assert cleaned.left == []
    assert cleaned.removed == said
    assert [line for line in said if line.startswith("deleted stack")] == [
        f"deleted stack course-1-{concern}" for concern in ("upload", "cluster", "storage", "network")
    ]
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_clean_up_passes_over_what_somebody_deleted_by_hand(aws):
    for concern in ("network", "storage", "cluster"):
        stacks.deploy(concern, aws=aws)
    made = stacks.outputs(None, aws)
    aws.client("ecr").delete_repository(repositoryName=made["MxnetRepository"], force=True)
    aws.client("s3").delete_bucket(Bucket=made["AssetsBucket"])
    group = made["AutoScalingGroupName"]
    aws.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=group, ForceDelete=True)
    assert images.is_pushed("mxnet", aws) is False
    images.build("mxnet", aws=aws)
    with pytest.raises(AwsError, match="NAME_UNKNOWN") as caught:
        images.push("mxnet", aws=aws)
    assert "workshop clean --all" in caught.value.remedy
    assert cleaning.clean(aws=aws).left == []


def test_leftovers_are_found_and_those_of_another_course_are_not(aws):
    s3 = aws.client("s3")
    where = {"LocationConstraint": aws.region}
    for name in ("course-1-storage-forgotten", "course-2-storage-of-others", "tagged-by-hand"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=where)
    s3.put_bucket_tagging(
        Bucket="tagged-by-hand", Tagging={"TagSet": [{"Key": "workshop", "Value": "course-1"}]}
    )
    found = {each.id.rpartition(":")[2]: each.found_by for each in leftovers.find(aws)}
    assert found == {"course-1-storage-forgotten": "name", "tagged-by-hand": "tag"}


def test_cleaning_a_lab_that_does_not_exist_is_refused(aws):
    with pytest.raises(AwsError, match="no lab 9"):
        cleaning.clean(9, aws=aws)

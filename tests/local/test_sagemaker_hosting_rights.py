"""Who may invoke an endpoint, and what a model's role needs for one: no more, and no less."""

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError
from conftest import refused
from ecs_world import wait_until
from hosting_world import BUCKET, HostingWorld, hosting
from identity_world import Account, Policy, allow, trust

ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/{}"
LOGS = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/*"
# By what it is for: https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html, CreateModel.
RIGHTS: dict[str, Policy] = {
    "model": allow("s3:GetObject", on=f"arn:aws:s3:::{BUCKET}/*"),
    "image": allow("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
    "logs": allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", on=LOGS),
}


def rights(*without: str) -> Policy:
    statements = [each["Statement"][0] for name, each in RIGHTS.items() if name not in without]
    return {"Version": "2012-10-17", "Statement": statements}


class EnforcedHosting(HostingWorld, Account):
    """Models with roles of their own."""

    def without(self, *names: str) -> str:
        """A model whose role lost these rights after the model was made."""
        self.serving_role = self.role(rights(), "sagemaker.amazonaws.com")
        model = self.model("kept")
        self.put(self.serving_role, rights(*names))
        return model


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnforcedHosting]:
    with hosting(EnforcedHosting(tmp_path_factory.mktemp("rights"))) as made:
        assert isinstance(made, EnforcedHosting)
        yield made


def test_an_endpoint_needs_these_rights_of_its_models_role_and_no_others(aws: EnforcedHosting) -> None:
    name = aws.endpoint({"ModelName": aws.without()})
    assert aws.invoke(name, "model") == "kept"
    assert "listening on" in aws.lines(name)[0]


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ("model", 'Failed to download model data for container "primary" from URL: "s3://'),
        (
            "image",
            "The role '{role}' does not have GetAuthorizationToken permission for the image: '{image}'.",
        ),
    ],
)
def test_an_endpoint_whose_role_lost_a_right_fails_and_says_which(
    aws: EnforcedHosting, lost: str, reason: str
) -> None:
    name = aws.endpoint({"ModelName": aws.without(lost)}, wait=False)
    said = reason.format(role=aws.serving_role, image=aws.image)
    assert aws.settled(name, "Failed")["FailureReason"].startswith(said)


def test_a_role_that_may_not_log_serves_without_a_log(aws: EnforcedHosting) -> None:
    name = aws.endpoint({"ModelName": aws.without("logs")})
    assert aws.invoke(name, "model") == "kept"
    missing = refused(aws.logs.describe_log_streams, logGroupName=f"/aws/sagemaker/Endpoints/{name}")
    assert missing[0] == "ResourceNotFoundException"


def test_a_role_that_sagemaker_may_not_take_any_more_makes_an_endpoint_fail(aws: EnforcedHosting) -> None:
    model = aws.without()
    role = aws.serving_role.rpartition("/")[2]
    aws.iam.update_assume_role_policy(RoleName=role, PolicyDocument=trust("lambda.amazonaws.com"))
    name = aws.endpoint({"ModelName": model}, wait=False)
    assert aws.settled(name, "Failed")["FailureReason"].startswith(
        f"Could not assume role {aws.serving_role}."
    )


def test_who_may_invoke_one_endpoint_may_not_invoke_another_nor_change_it(aws: EnforcedHosting) -> None:
    mine, other = (aws.endpoint({"ModelName": aws.without()}) for _ in range(2))
    session = aws.session(allow("sagemaker:InvokeEndpoint", on=ARN.format(mine)))
    runtime, sagemaker = aws.as_(session, "sagemaker-runtime"), aws.as_(session, "sagemaker")
    assert runtime.invoke_endpoint(EndpointName=mine, Body="model")["Body"].read() == b"kept"
    for call, given in (
        (runtime.invoke_endpoint, {"EndpointName": other, "Body": "model"}),
        (sagemaker.delete_endpoint, {"EndpointName": mine}),
        (sagemaker.describe_endpoint, {"EndpointName": mine}),
    ):
        with pytest.raises(ClientError) as caught:
            call(**given)
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException", call
    assert aws.described(mine)["EndpointStatus"] == "InService"


def test_a_transform_job_reads_and_writes_as_its_models_role(aws: EnforcedHosting) -> None:
    def transform(name: str) -> dict[str, object]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}
        return {
            "TransformJobName": name,
            "ModelName": model,
            "TransformInput": {"DataSource": {"S3DataSource": source}},
            "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        }

    def ended(name: str) -> dict[str, object] | None:
        found: dict[str, object] = aws.sagemaker.describe_transform_job(TransformJobName=name)
        return found if "TransformEndTime" in found else None

    aws.s3.put_object(Bucket=BUCKET, Key="in/a", Body="model")
    model = aws.without()
    code, message = refused(aws.sagemaker.create_transform_job, **transform("blind"))
    assert (code, "No S3 objects found under S3 URL" in message) == ("ValidationException", True)
    more = allow("s3:ListBucket", on=f"arn:aws:s3:::{BUCKET}")["Statement"]
    aws.put(aws.serving_role, {**rights(), "Statement": [*rights()["Statement"], *more]})
    aws.sagemaker.create_transform_job(**transform("mute"))
    found = wait_until(lambda: ended("mute"))
    assert (found["TransformJobStatus"], found["FailureReason"][:11]) == ("Failed", "ClientError")
    assert "s3:PutObject" in found["FailureReason"]
    more += allow("s3:PutObject", on=f"arn:aws:s3:::{BUCKET}/out/*")["Statement"]
    aws.put(aws.serving_role, {**rights(), "Statement": [*rights()["Statement"], *more]})
    aws.sagemaker.create_transform_job(**transform("able"))
    assert wait_until(lambda: ended("able"))["TransformJobStatus"] == "Completed"
    assert aws.s3.get_object(Bucket=BUCKET, Key="out/a.out")["Body"].read() == b"kept"

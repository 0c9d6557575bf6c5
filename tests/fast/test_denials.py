"""Where a missing right belongs, from IAM's sentence alone."""

import pytest

from workshop.aws import denials

SESSION = "arn:aws:sts::123456789012:assumed-role/{}/me"
MISSING = "User: {} is not authorized to perform: {} on resource: {} because no {} allows the {} action"


def sentence(role: str, action: str = "s3:PutObject", policy: str = "identity-based policy") -> str:
    return MISSING.format(SESSION.format(role), action, "arn:aws:s3:::b/k", policy, action)


@pytest.mark.parametrize(
    ("role", "place"),
    [
        ("workshop-learner", "to cloudformation/learner-policy.json, then: workshop up"),
        (
            "workshop-cluster-JobTaskRole-1A2B3C",
            "to JobTaskRole in cloudformation/cluster.yaml, then: python",
        ),
        (
            "workshop-deploy-role-DeployRole-1A2B3C",
            "to DeployRole in cloudformation/deploy-role.yaml, then: python",
        ),
        ("my-own-upload-FunctionRole-1A2B3C", "to FunctionRole in cloudformation/upload.yaml, then: python"),
        ("AWSReservedSSO_Student_12ab", "to the policy of the role or user AWSReservedSSO_Student_12ab"),
    ],
)
def test_the_remedy_names_the_right_the_resource_and_the_file_of_the_role(role: str, place: str) -> None:
    found = denials.remedy(f"could not write: AccessDenied: {sentence(role)}")
    assert found is not None
    assert found.startswith(f"add s3:PutObject on arn:aws:s3:::b/k {place}")


@pytest.mark.parametrize(
    ("action", "document"),
    [
        ("elasticloadbalancing:CreateListener", "learner-service"),
        ("sagemaker:CreateModel", "learner-sagemaker"),
        ("apigateway:POST", "learner-sagemaker"),
    ],
)
def test_a_right_of_a_service_belongs_into_the_learners_policy_that_has_its_others(
    action: str, document: str
) -> None:
    found = denials.remedy(sentence("workshop-learner", action))
    assert found is not None and f"to cloudformation/{document}-policy.json" in found


def test_a_boundary_is_where_a_right_is_missing_that_the_role_has() -> None:
    found = denials.remedy(sentence("workshop-cluster-JobTaskRole-1A2B3C", policy="permissions boundary"))
    assert found is not None
    assert "cloudformation/boundary-policy.json" in found


def test_a_denial_is_taken_out_and_not_added_to() -> None:
    text = (
        f"User: {SESSION.format('workshop-learner')} is not authorized to perform: s3:GetObject on resource: "
    )
    found = denials.remedy(text + '"arn:aws:s3:::b/k" with an explicit deny in an identity-based policy')
    assert found == (
        "take the denial of s3:GetObject out of cloudformation/learner-policy.json, then: workshop up"
    )


def test_the_last_refusal_of_a_log_counts_and_another_text_has_none() -> None:
    log = f"{sentence('workshop-learner', 's3:GetObject')}\n{sentence('workshop-learner', 'ecs:RunTask')}"
    found = denials.read(log)
    assert found is not None
    assert (found.action, found.role) == ("ecs:RunTask", "workshop-learner")
    assert denials.remedy("error: the disk is full") is None

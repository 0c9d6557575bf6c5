"""Rights that nothing here can show to be needed, each with its reason and the page of AWS's that says so;
and what a learner must not be able to do.

Try it:  python -m benchmarks policy_mutations
Read by the mutation test alone: a right is needed in the course, or it is here, or the test fails.
"""

from typing import Any

AGENT = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/instance_IAM_role.html"
ECR_PULL = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html"
ECR_PUSH = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html"
MISSING = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"
DEFINITIONS = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html"
EVENTS = "https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html"
SUMMARY = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_GetTemplateSummary.html"
SESSIONS = "https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-quickstart.html"
PROTECTION = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html"
QUOTAS = "https://docs.aws.amazon.com/servicequotas/latest/userguide/identity-access-management.html"
SAGEMAKER = "https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html"
LINKED = "https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-service-linked-roles.html"

# What is taken out (in every policy, or in one statement): reason, page.
ONLY_ON_AWS: dict[str, tuple[str, str]] = {
    "cloudformation:GetTemplateSummary": (
        "`aws cloudformation deploy` by hand reads by it the parameters of a stack that is there; the tests of the "
        "AWS CLI (tests/local/test_aws_cli_labs.py) need it, the course's own commands don't",
        SUMMARY,
    ),
    "servicequotas:GetServiceQuota": (
        "the plan that is shown before money is spent asks for the account's limits; the local AWS has none",
        QUOTAS,
    ),
    "learner/RolesThatServicesMakeThemselves: iam:AWSServiceName=elasticloadbalancing.amazonaws.com": (
        "in a new account the first load balancer makes the role of its service, with its caller's right to it",
        LINKED,
    ),
    "ecs:DeregisterContainerInstance": ("the agent of an instance that ends signs off by it", AGENT),
    "ecs:SubmitAttachmentStateChanges": (
        "the agent reports by it that a task's network interface is attached",
        AGENT,
    ),
    "ecs:UpdateContainerInstancesState": (
        "the agent drains its instance by it when Spot is about to take the instance away",
        AGENT,
    ),
    "ecr:BatchCheckLayerAvailability": (
        "AWS lists it with the two rights to pull; our agent pulls as Docker does, which does not ask",
        ECR_PULL,
    ),
    "ecr:UploadLayerPart": (
        "docker push sends a layer in parts, and the process engine in one; the Docker tier pushes with it",
        ECR_PUSH,
    ),
    "autoscaling:SetInstanceProtection": (
        "instances with protection from scale-in outlive a desired capacity of 0 on AWS, and here they don't",
        PROTECTION,
    ),
    "learner/Stacks: arn:aws:cloudformation:*:*:changeSet/workshop-*": (
        "DescribeEvents of a change set is about the change set, and why it was refused is read by it",
        EVENTS,
    ),
    "learner/ShellsOpened: ssmmessages:OpenDataChannel": (
        "clients sign the WebSocket of a session, and AWS's policies for who opens sessions have the right since "
        "2025; here the session's token is all that is asked for",
        SESSIONS,
    ),
    "JobTaskRole/pictures-in-results-out/ListPictures: s3:ListBucket": (
        "without it S3 answers 403 and not 404 for a picture that is not there: a wrong name would look like a "
        "missing right",
        MISSING,
    ),
    "AirflowRole/run-gate-publish-roll/ListThem: arn:aws:s3:::workshop-storage-modelbucket-…": (
        "without it S3 answers 403 and not 404 where no model is yet: the first run would end red",
        MISSING,
    ),
    "logs:DescribeLogStreams": (
        "AWS lists it with the rights of a training job's role to log; here SageMaker makes its streams without a look",
        SAGEMAKER,
    ),
    "SageMakerRole/data-in-models-out/ListThem: arn:aws:s3:::workshop-storage-modelbucket-…": (
        "without it S3 answers 403 and not 404 for a model that is not there: a wrong name would look like a missing "
        "right",
        MISSING,
    ),
    "DeployRole/release-the-service/PushTheImage: ecr:BatchGetImage": (
        "AWS lists it with the rights to push, for clients that look whether the manifest is there already; the "
        "process engine's doesn't",
        ECR_PUSH,
    ),
    **dict.fromkeys(
        (
            "FunctionRole/start-one-family-of-tasks/StartTheTask: task-definition/jobs-tensorflow:*",
            "AirflowRole/run-gate-publish-roll/StartJobs: task-definition/jobs-tensorflow:*",
            "AirflowRole/run-gate-publish-roll/StartJobs: task-definition/jobs-tensorflow-fargate:*",
        ),
        (
            "the reference knows task definitions only with their revision; for a family alone AWS does not say "
            "which of the two it asks about",
            DEFINITIONS,
        ),
    ),
}

_ACCOUNT = "123456789012"
_ROLE = f"arn:aws:iam::{_ACCOUNT}:role/workshop-cluster-Mine"
_ROLE_OF_LAB_8 = f"arn:aws:iam::{_ACCOUNT}:role/workshop-satisfaction-Mine"
_EC2 = f"arn:aws:ec2:us-east-1:{_ACCOUNT}:"
_SAGEMAKER = f"arn:aws:sagemaker:us-east-1:{_ACCOUNT}:"
_API = "arn:aws:apigateway:us-east-1::"
_BALANCER = f"arn:aws:elasticloadbalancing:us-east-1:{_ACCOUNT}:loadbalancer/app/production"
# What each condition of the learner's policy holds back: (action, resource, condition keys).
ESCAPES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    # a role without a boundary, or with another one, could do anything
    ("iam:CreateRole", _ROLE, {}),
    ("iam:CreateRole", _ROLE, {"iam:PermissionsBoundary": f"arn:aws:iam::{_ACCOUNT}:policy/other"}),
    # a role handed to a service that the course does not use
    ("iam:PassRole", _ROLE, {"iam:PassedToService": "glue.amazonaws.com"}),
    # somebody else's network, changed, or marked as the course's
    ("ec2:DeleteVpc", f"{_EC2}vpc/vpc-1", {"aws:ResourceTag/workshop": "other"}),
    ("ec2:CreateTags", f"{_EC2}vpc/vpc-1", {"aws:RequestTag/workshop": "workshop"}),
    # something that the clean-up would not find
    ("ec2:CreateVpc", f"{_EC2}vpc/*", {}),
    # an instance for thousands of dollars a day
    ("ec2:RunInstances", f"{_EC2}instance/*", {"ec2:InstanceType": "p5.48xlarge"}),
    # a task beside somebody else's
    (
        "ecs:RunTask",
        f"arn:aws:ecs:us-east-1:{_ACCOUNT}:task-definition/any:1",
        {"ecs:cluster": f"arn:aws:ecs:us-east-1:{_ACCOUNT}:cluster/production"},
    ),
    # an address and a load balancer that the clean-up would not find, and those of others
    ("ec2:AllocateAddress", f"{_EC2}elastic-ip/*", {}),
    ("ec2:ReleaseAddress", f"{_EC2}elastic-ip/eipalloc-1", {"aws:ResourceTag/workshop": "other"}),
    ("elasticloadbalancing:CreateLoadBalancer", f"{_BALANCER}/*", {}),
    ("elasticloadbalancing:DeleteLoadBalancer", f"{_BALANCER}/1", {"aws:ResourceTag/workshop": "other"}),
    ("elasticloadbalancing:AddTags", f"{_BALANCER}/1", {"aws:RequestTag/workshop": "workshop"}),
    # the capacity of a table, or something else of a service than its number of tasks
    (
        "application-autoscaling:RegisterScalableTarget",
        f"arn:aws:application-autoscaling:us-east-1:{_ACCOUNT}:scalable-target/*",
        {
            "application-autoscaling:service-namespace": "dynamodb",
            "application-autoscaling:scalable-dimension": "ecs:service:DesiredCount",
        },
    ),
    (
        "application-autoscaling:RegisterScalableTarget",
        f"arn:aws:application-autoscaling:us-east-1:{_ACCOUNT}:scalable-target/*",
        {
            "application-autoscaling:service-namespace": "ecs",
            "application-autoscaling:scalable-dimension": "ecs:service:Other",
        },
    ),
    # a function that the whole world may call
    (
        "lambda:AddPermission",
        f"arn:aws:lambda:us-east-1:{_ACCOUNT}:function:workshop-f",
        {"lambda:Principal": "*"},
    ),
    (
        "lambda:AddPermission",
        f"arn:aws:lambda:us-east-1:{_ACCOUNT}:function:workshop-satisfaction-f",
        {"lambda:Principal": "*"},
    ),
    # a training job for a hundred dollars an hour, and an endpoint that no instance type confines
    (
        "sagemaker:CreateTrainingJob",
        f"{_SAGEMAKER}training-job/workshop-x",
        {"sagemaker:InstanceTypes": ["ml.m5.large", "ml.p5.48xlarge"]},
    ),
    ("sagemaker:CreateEndpointConfig", f"{_SAGEMAKER}endpoint-config/workshop-x", {}),
    # lab 8's roles without a boundary, or handed to a service that it does not use
    ("iam:CreateRole", _ROLE_OF_LAB_8, {}),
    ("iam:PassRole", _ROLE_OF_LAB_8, {"iam:PassedToService": "glue.amazonaws.com"}),
    # an API that the clean-up would not find, one that is marked otherwise, and somebody else's
    ("apigateway:POST", f"{_API}/restapis", {}),
    ("apigateway:PUT", f"{_API}/tags/any", {"aws:RequestTag/workshop": "other"}),
    ("apigateway:DELETE", f"{_API}/restapis/any", {"aws:ResourceTag/workshop": "other"}),
    ("apigateway:GET", f"{_API}/apikeys/any", {"aws:ResourceTag/workshop": "other"}),
    # a role for a service that the course does not use
    (
        "iam:CreateServiceLinkedRole",
        f"arn:aws:iam::{_ACCOUNT}:role/aws-service-role/x/y",
        {"iam:AWSServiceName": "x.amazonaws.com"},
    ),
)

# What no policy of the course may allow, whatever its conditions: the ways to more rights than one has.
NEVER: tuple[tuple[str, str], ...] = (
    ("iam:CreatePolicyVersion", f"arn:aws:iam::{_ACCOUNT}:policy/workshop-boundary"),
    ("iam:DeletePolicy", f"arn:aws:iam::{_ACCOUNT}:policy/workshop-boundary"),
    ("iam:DeleteRolePermissionsBoundary", _ROLE),
    ("iam:PutRolePermissionsBoundary", _ROLE),
    ("iam:AttachRolePolicy", _ROLE),
    ("iam:UpdateAssumeRolePolicy", _ROLE),
    ("iam:CreateUser", f"arn:aws:iam::{_ACCOUNT}:user/me"),
    ("iam:CreateAccessKey", f"arn:aws:iam::{_ACCOUNT}:user/me"),
    ("iam:PutRolePolicy", f"arn:aws:iam::{_ACCOUNT}:role/workshop-learner"),
    ("iam:PassRole", f"arn:aws:iam::{_ACCOUNT}:role/administrator"),
    ("iam:CreateOpenIDConnectProvider", f"arn:aws:iam::{_ACCOUNT}:oidc-provider/example.org"),
    ("iam:CreateRole", f"arn:aws:iam::{_ACCOUNT}:role/workshop-deploy-role-Mine"),
    ("sts:AssumeRole", _ROLE),
    ("sts:AssumeRole", f"arn:aws:iam::{_ACCOUNT}:role/workshop-deploy-role-Mine"),
    ("sts:AssumeRole", _ROLE_OF_LAB_8),
    ("sagemaker:InvokeEndpoint", f"{_SAGEMAKER}endpoint/production"),
    ("sagemaker:DeleteEndpoint", f"{_SAGEMAKER}endpoint/production"),
    ("sagemaker:CreateNotebookInstance", f"{_SAGEMAKER}notebook-instance/workshop-x"),
    ("apigateway:GET", f"{_API}/apikeys"),
    (
        "logs:GetLogEvents",
        f"arn:aws:logs:us-east-1:{_ACCOUNT}:log-group:/aws/sagemaker/TrainingJobs:log-stream:x",
    ),
    ("s3:GetObject", "arn:aws:s3:::production/secrets"),
    ("s3:PutBucketPolicy", "arn:aws:s3:::production"),
)

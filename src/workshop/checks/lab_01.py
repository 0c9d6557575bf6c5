"""Lab 1: the stacks are there, their buckets are closed, and an instance has joined the cluster.

Try it:  workshop check 1
Asks AWS, never what a notebook printed: so it also tells what has been deleted since.
"""

from workshop.aws import session, stacks
from workshop.checkpoints import Check, Failed
from workshop.errors import AwsError

OUTPUTS = {
    "network": ("VpcId", "SubnetIds", "TaskSecurityGroupId"),
    "storage": (
        "InputBucket",
        "OutputBucket",
        "MxnetRepositoryUri",
        "TensorflowRepositoryUri",
        "JobsLogGroup",
    ),
    "cluster": (
        "ClusterName",
        "CapacityProviderName",
        "AutoScalingGroupName",
        "ExecutionRoleArn",
        "JobTaskRoleArn",
    ),
}
BUCKETS = ("InputBucket", "OutputBucket", "AssetsBucket")
EXERCISE_RETENTION_DAYS = 30


def network_is_complete() -> str:
    """The learner has deployed the network stack."""
    return _complete("network")


def storage_is_complete() -> str:
    """The learner has deployed the storage stack."""
    return _complete("storage")


def cluster_is_complete() -> str:
    """The learner has deployed the cluster stack."""
    return _complete("cluster")


def outputs_are_there() -> str:
    """Every output that later labs take by name has a value."""
    missing = []
    for concern, names in OUTPUTS.items():
        found = stacks.outputs(concern) if stacks.status(concern) else {}
        missing += [f"{concern}: {name}" for name in names if not found.get(name)]
    if missing:
        raise Failed(
            f"outputs are missing: {', '.join(missing)}",
            "Later labs find buckets, roles and the cluster by these names. A stack made from a changed "
            "template "
            "does not have them, nor does one that is gone.",
            "workshop prepare 2",
        )
    return f"all {sum(len(names) for names in OUTPUTS.values())} outputs that later labs need are there"


def buckets_are_closed() -> str:
    """Each bucket blocks public access in all four ways."""
    s3, outputs = session.current().client("s3"), stacks.outputs("storage")
    for name in BUCKETS:
        bucket = outputs[name]
        try:
            block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        except s3.exceptions.ClientError as error:
            block = {}
            code = error.response["Error"]["Code"]
            if code != "NoSuchPublicAccessBlockConfiguration":
                raise AwsError(f"could not look at bucket {bucket}: {code}", "workshop prepare 2") from error
        open_ways = [way for way in _WAYS if not block.get(way)]
        if open_ways:
            raise Failed(
                f"bucket {bucket} can be opened to the public: {', '.join(open_ways)} is off",
                "Pictures of users lie in these buckets. With all four blocks on, no policy and no ACL that "
                "someone adds later can publish them.",
                f"aws s3api put-public-access-block --bucket {bucket} --public-access-block-configuration "
                + ",".join(f"{way}=true" for way in _WAYS),
            )
    return f"all {len(BUCKETS)} buckets are closed to the public"


def instances_have_joined() -> str:
    """At least one instance of the Auto Scaling group is ACTIVE in the cluster, with its agent connected."""
    ecs, cluster = session.current().client("ecs"), stacks.output("ClusterName")
    arns = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
    found = (
        ecs.describe_container_instances(cluster=cluster, containerInstances=arns)["containerInstances"]
        if arns
        else []
    )
    ready = [each for each in found if each["status"] == "ACTIVE" and each.get("agentConnected")]
    if not ready:
        raise Failed(
            f"no container instance of cluster {cluster} is ready ({len(found)} are registered)",
            "A task needs an instance to run on. On AWS one takes two to four minutes to start and join; if "
            "none comes, the Auto Scaling group's activity says why, most often a quota of 0 for that type.",
            "aws autoscaling describe-scaling-activities --auto-scaling-group-name "
            + stacks.output("AutoScalingGroupName"),
        )
    return f"{len(ready)} container instance{'s have' if len(ready) > 1 else ' has'} joined cluster {cluster}"


def logs_are_kept_longer() -> str:
    """The exercise: change a stack through its template's parameter, and see what CloudFormation replaces.

    The learner has run: stacks.deploy("storage", on_event=print, LogRetentionDays="30")
    """
    logs, group = session.current().client("logs"), stacks.output("JobsLogGroup")
    groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    days = next((each.get("retentionInDays") for each in groups if each["logGroupName"] == group), None)
    stack = stacks.describe("storage") or {}
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
    asked = parameters.get("LogRetentionDays", "")
    fix = f'stacks.deploy("storage", on_event=print, LogRetentionDays="{EXERCISE_RETENTION_DAYS}")'
    if days != EXERCISE_RETENTION_DAYS:
        raise Failed(
            f"log group {group} keeps its lines for {days} days, and {EXERCISE_RETENTION_DAYS} were wanted",
            f"The stack's parameter LogRetentionDays is {asked or 'not set'}.",
            fix,
        )
    if asked != str(EXERCISE_RETENTION_DAYS):
        raise Failed(
            f"log group {group} keeps its lines for {days} days, but its stack says {asked}",
            "It was changed by hand, behind CloudFormation's back: the next deployment would set it back.",
            fix,
        )
    return f"logs are kept for {days} days, and the stack says so too"


def _complete(concern: str) -> str:
    aws = session.current()
    name, status = stacks.stack_name(concern, aws), stacks.status(concern, aws)
    if status in stacks.GOOD:
        return f"stack {name} is complete"
    if status is None:
        raise Failed(
            f"{aws.region} has no stack {name}",
            "It was never deployed, or deleted since, or deployed to another region or under another name.",
            "workshop prepare 2",
        )
    raise Failed(
        f"stack {name} is {status}",
        "CloudFormation stopped on the way. The first failed event says which resource, and why.",
        f"workshop clean 1, then workshop prepare 2; the events: stacks.events('{concern}')",
    )


_WAYS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")

CHECKS: tuple[Check, ...] = (
    network_is_complete,
    storage_is_complete,
    cluster_is_complete,
    outputs_are_there,
    buckets_are_closed,
    instances_have_joined,
)
YOUR_TURN: tuple[Check, ...] = (logs_are_kept_longer,)

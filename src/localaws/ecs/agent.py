"""The ECS agent's rights: an instance's role to belong to a cluster, an execution role to pull and to log.

Try it:  take ecr:BatchGetImage out of the execution role and run a task: its stoppedReason says so
The agent here asks for the same actions as AWS's, in the same order (ECS developer guide, "Amazon ECS
container instance IAM role" and "Amazon ECS task execution IAM role"). One difference: an instance whose role
may register but not report (ecs:SubmitTaskStateChange, ecs:SubmitContainerStateChange) does not register; on
AWS it does, and its tasks stay PENDING. Does nothing without enforcement.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from localaws import identity
from localaws.engine import EngineError
from localaws.identity import roles as identity_roles

logger = logging.getLogger("localaws")
ON_CLUSTER = ("RegisterContainerInstance", "SubmitTaskStateChange", "SubmitContainerStateChange")
ON_INSTANCE = ("Poll", "StartTelemetrySession")
PULL = ("BatchGetImage", "GetDownloadUrlForLayer")
NO_ROLE = "the task definition names no execution role, and no instance has a role that could be used instead"
_ECR = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.[a-z.]+/([^:@]+)")


class MayNotPull(EngineError):
    """The role that is to pull the image may not."""

    kind = "CannotPullContainerError"


class MayNotInitialize(EngineError):
    """The role may not do what comes before the containers: log in to the registry, make a log stream."""

    kind = "ResourceInitializationError"


class Agents:
    """Which instances are in their clusters; one that was let in stays, as a running agent does."""

    def __init__(self) -> None:
        self._registered: set[tuple[str, str]] = set()
        self._refused: set[tuple[str, str, str]] = set()

    def registers(self, cluster_arn: str, instance_id: str, container_instance_arn: str) -> bool:
        """Whether the agent on an instance can join the cluster with its instance profile's role."""
        import ministack.app

        key = (cluster_arn, instance_id)
        if not ministack.app.AUTH or key in self._registered:
            return True
        why = _cannot_register(cluster_arn, instance_id, container_instance_arn)
        if why is None:
            self._registered.add(key)
        elif (*key, why) not in self._refused:
            self._refused.add((*key, why))
            name = cluster_arn.rpartition("/")[2]
            logger.warning("instance %s does not register with cluster %s: %s", instance_id, name, why)
        return why is None


def instance_role(instance_id: str) -> str | None:
    """The role that EC2 gives an instance by its profile; None without one, or without EC2's trust."""
    from ministack.services import ec2

    profile = (ec2._instances.get(instance_id) or {}).get("IamInstanceProfile") or {}
    roles = identity_roles.roles_of_profile(str(profile.get("Arn") or profile.get("Name") or ""))
    return next((each for each in roles if identity_roles.trusts(each, identity_roles.INSTANCES)), None)


def roles_not_assumed(definition: Mapping[str, Any], request: Mapping[str, Any]) -> str | None:
    """ECS's sentence if it can't assume one of the roles that a task is to have; None if it can."""
    from ministack.core.responses import get_account_id, get_region

    account, overrides = get_account_id(), request.get("overrides") or {}
    source = f"arn:aws:ecs:{get_region()}:{account}:*"
    context = {"aws:SourceAccount": account, "aws:SourceArn": source}
    for name in ("taskRoleArn", "executionRoleArn"):
        role = overrides.get(name) or definition.get(name)
        if role and not identity_roles.trusts(
            identity_roles.full_arn(role, account), identity_roles.TASKS, context
        ):
            return (
                f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that "
                "the role being passed has the proper trust relationship and permissions and that your IAM user "
                "has permissions to pass this role."
            )
    return None


class AgentRights:
    """What the agent may do for one task: as its execution role, or without one as its instance's role."""

    def __init__(self, task: dict[str, Any], role_arn: str | None) -> None:
        self._task = task
        self._role_arn = role_arn

    def refuse_pull(self, image: str) -> None:
        """Raise if an image of ECR may not be pulled; other registries are none of IAM's."""
        matched = _ECR.match(image)
        if not matched:
            return
        account, region, name = matched.groups()
        denied = self._denied("ecr:GetAuthorizationToken", "*")
        if denied:
            raise MayNotInitialize(
                "unable to pull secrets or registry auth: execution resource retrieval failed: unable to "
                "retrieve ecr registry auth: service call has been retried 1 time(s): "
                f"AccessDeniedException: {denied}",
                f"put ecr:GetAuthorizationToken into the policy of {self._whose()}",
            )
        for action in PULL:
            denied = self._denied(f"ecr:{action}", f"arn:aws:ecr:{region}:{account}:repository/{name}")
            if denied:
                raise MayNotPull(
                    f"Error response from daemon: pull access denied for {matched.group(0)}, repository does "
                    f"not exist or may require 'docker login': denied: {denied}",
                    f"put ecr:{action} into the policy of {self._whose()}",
                )

    def refuse_secrets(self, definition: Mapping[str, Any]) -> None:
        """Raise if one of a container's secrets may not be read."""
        for each in definition.get("secrets") or []:
            source = each["valueFrom"]
            action = "secretsmanager:GetSecretValue" if ":secretsmanager:" in source else "ssm:GetParameters"
            denied = self._denied(action, self._secret_arn(source))
            if denied:
                raise MayNotInitialize(
                    "unable to pull secrets or registry auth: execution resource retrieval failed: unable to "
                    f"retrieve secret from {'asm' if 'GetSecret' in action else 'ssm'}: service call has been "
                    f"retried 1 time(s): AccessDeniedException: {denied}",
                    f"put {action} into the policy of {self._whose()}",
                )

    def refuse_file(self, bucket: str, key: str) -> None:
        """Raise if an environment file may not be read from S3."""
        wanted = (
            ("GetBucketLocation", f"arn:aws:s3:::{bucket}"),
            ("GetObject", f"arn:aws:s3:::{bucket}/{key}"),
        )
        for action, arn in wanted:
            denied = self._denied(f"s3:{action}", arn)
            if denied:
                raise MayNotInitialize(
                    "failed to download env files: file download command: non empty error stream: service call "
                    f"has been retried 1 time(s): AccessDenied: {denied}",
                    f"put s3:{action} into the policy of {self._whose()}",
                )

    def refuse_logging(self, group_arn: str, stream: str, create_group: bool) -> None:
        """Raise if the awslogs driver may not make a log stream, or its group where it is told to.

        group_arn: arn:aws:logs:REGION:ACCOUNT:log-group:NAME.
        """
        wanted = [("CreateLogGroup", "")] if create_group else []
        for action, name in [*wanted, ("CreateLogStream", stream)]:
            denied = self._denied(f"logs:{action}", f"{group_arn}:log-stream:{name}")
            if denied:
                raise MayNotInitialize(
                    "failed to validate logger args: create stream has been retried 1 times: failed to create "
                    f"Cloudwatch log stream: AccessDeniedException: {denied}",
                    f"put logs:{action} into the policy of {self._whose()}",
                )

    def may_not_write(self, group_arn: str, stream: str) -> str | None:
        """Why the awslogs driver may not write a container's lines; None if it may."""
        return self._denied("logs:PutLogEvents", f"{group_arn}:log-stream:{stream}")

    def _denied(self, action: str, resource_arn: str) -> str | None:
        import ministack.app

        session = self._session()
        if session is None:
            return NO_ROLE if ministack.app.AUTH else None
        denied = identity.authorize(session, action, resource_arn)
        return denied.message if denied else None

    def _session(self) -> str | None:
        if self._role_arn:
            return identity.session_arn(self._role_arn, str(self._task["taskArn"]).rpartition("/")[2])
        instance = self._task.get("_instance_id")
        own = instance_role(instance) if instance else None
        return identity.session_arn(own, instance) if own and instance else None

    def _secret_arn(self, source: str) -> str:
        """A secret's ARN without key and version, a parameter's from its name."""
        if source.startswith("arn:"):
            return ":".join(source.split(":")[:7])
        _, _, _, region, account, *_ = str(self._task["taskArn"]).split(":")
        return f"arn:aws:ssm:{region}:{account}:parameter/{source.strip('/')}"

    def _whose(self) -> str:
        if self._role_arn:
            return f"the execution role {self._role_arn}"
        return "the instance's role, or give the task definition an executionRoleArn"


def _cannot_register(cluster_arn: str, instance_id: str, container_instance_arn: str) -> str | None:
    role = instance_role(instance_id)
    if role is None:
        return "it has no instance profile with a role that trusts ec2.amazonaws.com"
    session = identity.session_arn(role, instance_id)
    wanted = [("DiscoverPollEndpoint", "*")]
    wanted += [(name, cluster_arn) for name in ON_CLUSTER]
    wanted += [(name, container_instance_arn) for name in ON_INSTANCE]
    for name, resource in wanted:
        context = {"ecs:cluster": cluster_arn} if resource != "*" else {}
        denied = identity.authorize(session, f"ecs:{name}", resource, context)
        if denied:
            return denied.message
    return None

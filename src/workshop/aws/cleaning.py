"""Remove what the labs made, in the order that AWS needs, and prove that nothing is left.

Try it:  workshop clean --all
CloudFormation refuses to delete a bucket or a repository that holds something: those are emptied first. What
somebody deleted by hand has no content any more, and its stack goes without it.
Knows what each lab makes (MADE_BY_LAB); lab 1's stacks carry all the others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from workshop import policies
from workshop.aws import boundary, cleaning_sagemaker, images, leftovers, session, stacks, tasks, waiting
from workshop.aws.failures import explained
from workshop.aws.leftovers import Leftover
from workshop.aws.session import Aws
from workshop.errors import AwsError

Say = Callable[[str], None]
Step = Callable[[Aws, Say], None]

DELETE_AT_ONCE = 1000  # the most that s3:DeleteObjects takes
IMAGES_AT_ONCE = 100  # the most that ecr:BatchDeleteImage takes
TASK_STOP_SECONDS = 180
SATISFACTION = "satisfaction/"  # where lab 8 keeps everything, in each of the buckets


@dataclass
class Cleaned:
    """What was removed, in order, and what is still there. is_clean is only told after a whole clean-up."""

    removed: list[str] = field(default_factory=list)
    left: list[Leftover] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.left


def clean(
    lab: int | None = None, all: bool = False, on_line: Say | None = None, aws: Aws | None = None
) -> Cleaned:
    """Remove what one lab made, or everything if no lab is named, or `all` is; then search for leftovers.

    Errors: AwsError if AWS refuses a step; what was removed by then stays removed, and it can be run again.
    """
    aws = aws or session.current()
    cleaned = Cleaned()

    def say(line: str) -> None:
        cleaned.removed.append(line)
        if on_line:
            on_line(line)

    if lab is None or all or lab == 1:
        for step in EVERYTHING:
            step(aws, say)
        cleaned.left = leftovers.find(aws)
        return cleaned
    if lab not in MADE_BY_LAB:
        raise AwsError(
            f"there is no lab {lab} to clean (labs: 1, {', '.join(map(str, MADE_BY_LAB))})",
            "workshop clean --all",
        )
    for step in MADE_BY_LAB[lab]:
        step(aws, say)
    return cleaned


def empty_bucket(bucket: str, aws: Aws | None = None, below: str = "") -> int:
    """Delete every version of every object and unfinished uploads; return how many versions there were.

    below: a prefix, to leave alone what lies elsewhere. A bucket that is gone held none.
    """
    s3 = (aws or session.current()).client("s3")
    count = 0
    with explained(f"empty the bucket {bucket}"), contextlib.suppress(s3.exceptions.NoSuchBucket):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=below):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            count += len(found)
            for batch in _batches(found, DELETE_AT_ONCE):
                names = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in batch]
                answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": names, "Quiet": True})
                if answer.get("Errors"):
                    first = answer["Errors"][0]
                    raise AwsError(
                        f"could not delete s3://{bucket}/{first['Key']}: {first.get('Message', '')}"
                    )
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=below):
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    return count


def delete_images(repository: str, aws: Aws | None = None) -> int:
    """Delete every image of a repository and return how many there were; one that is gone held none."""
    ecr = (aws or session.current()).client("ecr")
    digests: set[str] = set()
    gone = contextlib.suppress(ecr.exceptions.RepositoryNotFoundException)
    with explained(f"delete the images of {repository}"), gone:
        for page in ecr.get_paginator("list_images").paginate(repositoryName=repository):
            digests.update(entry["imageDigest"] for entry in page["imageIds"])
        for batch in _batches(sorted(digests), IMAGES_AT_ONCE):
            ids = [{"imageDigest": digest} for digest in batch]
            ecr.batch_delete_image(repositoryName=repository, imageIds=ids)
    return len(digests)


def _services(aws: Aws, say: Say) -> None:
    """First of all: a service replaces each task that is stopped. Those that no stack has go as well."""
    _stack("sentiment-service", aws, say)
    ecs = aws.client("ecs")
    with explained("look for services"):
        alone = leftovers.services(aws)
    for cluster, service in alone:
        with explained(f"delete the service {service}"):
            ecs.delete_service(cluster=cluster, service=service, force=True)
        say(f"deleted service {service.rpartition('/')[2]}")
    if alone:
        waiting.until(lambda: not leftovers.services(aws), TASK_STOP_SECONDS, f"{len(alone)} services to end")


def _tasks(aws: Aws, say: Say) -> None:
    """Those of jobs; a service's own are its own matter."""
    alive = [task for task in tasks.running(aws) if not task.service]
    for task in alive:
        tasks.stop(task, "workshop clean", aws)
        say(f"stopped task {task.family} {task.id}")
    if alive:
        ids = {task.id for task in alive}
        waiting.until(
            lambda: not any(task.id in ids for task in tasks.running(aws)),
            TASK_STOP_SECONDS,
            f"{len(alive)} tasks to stop",
        )


def _definitions(aws: Aws, say: Say) -> None:
    ecs = aws.client("ecs")
    with explained("list the task definitions"):
        arns = list(leftovers.task_definitions(aws))
    for arn in arns:
        with explained(f"deregister {arn}"):
            ecs.deregister_task_definition(taskDefinition=arn)
    for batch in _batches(arns, 10):  # the most that ecs:DeleteTaskDefinitions takes
        with explained("delete task definitions"):
            ecs.delete_task_definitions(taskDefinitions=batch)
    if arns:
        say(f"deleted {len(arns)} task definitions")


def _objects(aws: Aws, say: Say) -> None:
    for bucket in _held("AWS::S3::Bucket", aws):
        count = empty_bucket(bucket, aws)
        if count:
            say(f"emptied {bucket}: {count} objects and versions")


def _images(aws: Aws, say: Say) -> None:
    for repository in _held("AWS::ECR::Repository", aws):
        count = delete_images(repository, aws)
        if count:
            say(f"deleted {count} images of {repository}")
    forgotten = images.forget(aws)
    if forgotten:
        say(f"removed {forgotten} names of images from Docker; its build cache stays")


def _models(aws: Aws, say: Say) -> None:
    """Published models; the bucket is the storage stack's and stays."""
    bucket = stacks.outputs(None, aws).get("ModelBucket")
    count = empty_bucket(bucket, aws) if bucket else 0
    if count:
        say(f"emptied {bucket}: {count} objects and versions")


def _satisfaction(aws: Aws, say: Say) -> None:
    """Lab 8's data and models; the buckets are the storage stack's and stay."""
    outputs = stacks.outputs(None, aws)
    for name in ("InputBucket", "OutputBucket", "ModelBucket"):
        count = empty_bucket(outputs[name], aws, SATISFACTION) if name in outputs else 0
        if count:
            say(f"emptied s3://{outputs[name]}/{SATISFACTION}: {count} objects and versions")


def _stacks(aws: Aws, say: Say) -> None:
    for concern in reversed(stacks.COURSE):
        try:
            _stack(concern, aws, say)
        except AwsError as error:
            if concern not in stacks.ADMINISTRATORS:
                raise
            say(f"left stack {stacks.stack_name(concern, aws)}, an administrator's: {error.message}")


def _held(kind: str, aws: Aws) -> list[str]:
    """Physical ids of one type in every course stack, also in one whose deletion failed half-way."""
    return [
        physical_id
        for concern in stacks.COURSE
        if stacks.status(concern, aws)
        for _, type_, physical_id in stacks.resources(concern, aws)
        if type_ == kind and physical_id
    ]


def _only(*concerns: str) -> Step:
    def step(aws: Aws, say: Say) -> None:
        for concern in concerns:
            _stack(concern, aws, say)

    return step


def _stack(concern: str, aws: Aws, say: Say) -> None:
    if stacks.status(concern, aws) is None:
        return
    if concern == "cluster":
        _release_instances(aws)
    stacks.delete(concern, aws=aws)
    say(f"deleted stack {stacks.stack_name(concern, aws)}")


def _release_instances(aws: Aws) -> None:
    """Unprotect the instances: protected from scale-in, they keep their group and its stack for ever."""
    scaling = aws.client("autoscaling")
    for name in _held("AWS::AutoScaling::AutoScalingGroup", aws):
        with explained(f"release the instances of {name}"):
            _unprotect(name, scaling)


def _unprotect(name: str, scaling: Any) -> None:
    if not _groups(name, scaling):  # deleted by hand
        return
    scaling.update_auto_scaling_group(
        AutoScalingGroupName=name, MinSize=0, DesiredCapacity=0, NewInstancesProtectedFromScaleIn=False
    )
    ids = [entry["InstanceId"] for group in _groups(name, scaling) for entry in group.get("Instances", [])]
    if ids:
        scaling.set_instance_protection(
            AutoScalingGroupName=name, InstanceIds=ids, ProtectedFromScaleIn=False
        )


def _groups(name: str, scaling: Any) -> list[dict[str, Any]]:
    answer = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    return list(answer["AutoScalingGroups"])


def _boundary(aws: Aws, say: Say) -> None:
    if boundary.remove(aws):
        say(f"deleted policy {policies.boundary_name(aws.name)}")


def _log_groups(aws: Aws, say: Say) -> None:
    """Log groups that no stack owns: Lambda makes one by itself at a function's first call."""
    logs = aws.client("logs")
    with explained("delete log groups"):
        for page in logs.get_paginator("describe_log_groups").paginate():
            for group in page["logGroups"]:
                if leftovers.is_ours(group["logGroupName"], aws):
                    logs.delete_log_group(logGroupName=group["logGroupName"])
                    say(f"deleted log group {group['logGroupName']}")


def _batches(entries: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


EVERYTHING: tuple[Step, ...] = (
    _services,
    cleaning_sagemaker.clean,
    _tasks,
    _definitions,
    _objects,
    _images,
    _stacks,
    _boundary,
    _log_groups,
)
MADE_BY_LAB: dict[int, tuple[Step, ...]] = {
    2: (_images,),
    3: (_tasks, _definitions),
    4: (_tasks, _only("upload"), _objects),
    5: (_tasks, _only("airflow"), _models),
    6: (_services, _only("sentiment", "private-network")),
    8: (cleaning_sagemaker.clean, _only("satisfaction"), _satisfaction),
}
"""Lab 1 makes the stacks that hold everything else, so cleaning it is cleaning all."""

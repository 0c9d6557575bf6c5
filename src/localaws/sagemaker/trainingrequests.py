"""What CreateTrainingJob refuses before it makes a job, and the record that it makes.

Try it:  aws sagemaker create-training-job … --resource-config InstanceType=ml.m5.large,InstanceCount=2,VolumeSizeInGB=1
AWS's rules: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html. What AWS has and this
machine does not do is refused by its name, so that no job seems to have had it. Starts nothing.
"""

from typing import Any

from localaws import shapes
from localaws.ecs import instance_types
from localaws.sagemaker import (
    arns,
    channels,
    containers,
    images,
    jobmetrics,
    locations,
    output,
    roles,
    tagging,
)
from localaws.sagemaker.context import Context
from localaws.sagemaker.refusals import Refused, invalid, limit_exceeded, unsupported
from localaws.sagemaker.store import Record

KIND = "training-job"
ONE_DAY_SECONDS = 86_400  # MaxRuntimeInSeconds of a request that has none
LONGEST_RUNTIME_SECONDS = 28 * ONE_DAY_SECONDS
ACCELERATED = ("p", "g", "trn", "inf", "dl")  # how the names of instance types with accelerators begin
# Where in a request, and what it is called. A false or empty value asks for nothing.
LEFT_OUT = {
    "EnableManagedSpotTraining": "managed spot training",
    "CheckpointConfig": "checkpoints (CheckpointConfig)",
    "VpcConfig": "training in a VPC (VpcConfig)",
    "DebugHookConfig": "the debugger (DebugHookConfig)",
    "DebugRuleConfigurations": "the debugger (DebugRuleConfigurations)",
    "TensorBoardOutputConfig": "TensorBoardOutputConfig",
    "ProfilerRuleConfigurations": "the profiler (ProfilerRuleConfigurations)",
    "ExperimentConfig": "experiments (ExperimentConfig)",
    "RetryStrategy": "RetryStrategy",
    "RemoteDebugConfig.EnableRemoteDebug": "remote debugging",
    "InfraCheckConfig.EnableInfraCheck": "infrastructure checks",
    "SessionChainingConfig.EnableSessionTagChaining": "session tag chaining",
    "ServerlessJobConfig": "serverless training jobs",
    "MlflowConfig": "MLflow",
    "ModelPackageConfig": "ModelPackageConfig",
    "AlgorithmSpecification.AlgorithmName": "algorithm resources (AlgorithmName)",
    "AlgorithmSpecification.TrainingImageConfig": "private registries (TrainingImageConfig)",
    "OutputDataConfig.KmsKeyId": "encryption of artefacts with a key of one's own (KmsKeyId)",
    "ResourceConfig.VolumeKmsKeyId": "encryption of volumes (VolumeKmsKeyId)",
    "ResourceConfig.KeepAlivePeriodInSeconds": "warm pools (KeepAlivePeriodInSeconds)",
    "ResourceConfig.InstanceGroups": "heterogeneous clusters (InstanceGroups)",
    "ResourceConfig.TrainingPlanArn": "training plans",
    "ResourceConfig.InstancePlacementConfig": "InstancePlacementConfig",
    "ResourceConfig.InstancePreferences": "InstancePreferences",
    "StoppingCondition.MaxWaitTimeInSeconds": "managed spot training (MaxWaitTimeInSeconds)",
}


def check(context: Context, request: Record) -> None:
    """Refuse a request that makes no job, for everything but its name."""
    _check_left_out(request)
    _check_form(request)
    _check_instance(request["ResourceConfig"])
    roles.check(request["RoleArn"])
    images.check(context, request["AlgorithmSpecification"]["TrainingImage"])
    channels.check(context, request)


def already_exists(arn: str) -> Refused:
    """The name of a job is taken for as long as its record is there."""
    return Refused(
        "ResourceInUse",
        "Training job names must be unique within an AWS account and region, and a training job with this name "
        f"already exists ({arn})",
    )


def _check_left_out(request: Record) -> None:
    for path, what in LEFT_OUT.items():
        if _at(request, path):
            raise unsupported(what)
    profiler = request.get("ProfilerConfig") or {}
    if profiler and not profiler.get("DisableProfiler"):
        raise unsupported("profiler (ProfilerConfig)")
    mode = _at(request, "AlgorithmSpecification.TrainingInputMode")
    if mode not in (None, "File"):
        raise unsupported(f"TrainingInputMode {mode}")
    compression = _at(request, "OutputDataConfig.CompressionType")
    if compression not in (None, "GZIP"):
        raise unsupported(f"CompressionType {compression} of OutputDataConfig")


def _at(request: Any, path: str) -> Any:
    for name in path.split("."):
        request = (request or {}).get(name)
    return request


def _check_form(request: Record) -> None:
    """Members that botocore's model calls optional, because the newer kinds of jobs go without."""
    for path in (
        "AlgorithmSpecification.TrainingImage",
        "ResourceConfig.InstanceType",
        "ResourceConfig.InstanceCount",
        "ResourceConfig.VolumeSizeInGB",
    ):
        if not _at(request, path):
            raise invalid(f"{path} is required for a training job, and must not be 0 or empty.")
    if locations.parse(request["OutputDataConfig"]["S3OutputPath"]) is None:
        raise invalid(f"S3OutputPath {request['OutputDataConfig']['S3OutputPath']} is not s3://BUCKET/PREFIX")
    longest = _at(request, "StoppingCondition.MaxRuntimeInSeconds") or 0
    if longest > LONGEST_RUNTIME_SECONDS:
        raise invalid(
            f"MaxRuntimeInSeconds {longest} is more than a job may run: {LONGEST_RUNTIME_SECONDS} seconds."
        )


def _check_instance(resources: Record) -> None:
    name = resources["InstanceType"]
    known = shapes.model("sagemaker").shape_for("TrainingInstanceType").metadata["enum"]
    if name not in known:
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'resourceConfig.instanceType' failed to satisfy "
            f"constraint: Member must satisfy enum value set: [{', '.join(known)}]"
        )
    if resources["InstanceCount"] > 1:
        raise unsupported("training jobs on several instances (InstanceCount)")
    accelerated = name.removeprefix("ml.").startswith(ACCELERATED)
    if accelerated and not 0 < containers.gpus(name) <= len(instance_types.gpus_here()):
        # What AWS says of a type whose quota is 0, as a new account's is for each of these.
        raise limit_exceeded(
            f"The account-level service limit '{name} for training job usage' is 0 Instances, with current utilization "
            "of 0 Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an increase "
            "for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase for "
            f"this quota. (On this machine: it has {len(instance_types.gpus_here())} GPUs.)"
        )


def record(context: Context, request: Record) -> Record:
    """The record of a new job, in its first status."""
    arn, now = arns.arn(KIND, request["TrainingJobName"]), context.now()
    algorithm = images.algorithm(context, request["AlgorithmSpecification"]["TrainingImage"])
    specification = {**request["AlgorithmSpecification"]}
    defined = jobmetrics.definitions(request, algorithm)
    if defined:
        specification["MetricDefinitions"] = defined
    given = {name: value for name, value in request.items() if name not in ("Tags", "InputDataConfig")}
    if request.get("InputDataConfig"):
        given["InputDataConfig"] = [
            {"CompressionType": "None", "RecordWrapperType": "None", **each}
            for each in request["InputDataConfig"]
        ]
    artifact = output.place(request, output.MODEL).uri
    stopping = {"MaxRuntimeInSeconds": ONE_DAY_SECONDS, **(request.get("StoppingCondition") or {})}
    return {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **given,
        "AlgorithmSpecification": specification,
        "StoppingCondition": stopping,
        "TrainingJobArn": arn,
        "ModelArtifacts": {"S3ModelArtifacts": artifact},
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [
            {"Status": "Starting", "StartTime": now, "StatusMessage": "Starting the training job"}
        ],
        "CreationTime": now,
        "LastModifiedTime": now,
        "_arn": arn,
        "_tags": tagging.at_creation(request),
        "_algorithm": algorithm,
    }

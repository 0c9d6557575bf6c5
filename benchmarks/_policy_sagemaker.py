"""What lab 8 does only when something goes wrong, or offers beside its road: done here, with things of its own.

Try it:  python -m benchmarks policy_mutations
Each step needs the stacks `storage` and `satisfaction` and the images of lab 2; what it makes, the clean-up finds.
"""

import json
import random
import time
from typing import Any

NAME = "{course}-satisfaction-beside"
KIND = "ml.m5.large"
FEATURES = 3
SECONDS = 120
LEARNING = {"predictor_type": "binary_classifier", "epochs": "1", "mini_batch_size": "50"}


def stopped_training(aws: Any) -> None:
    """As Ctrl-C during `--on sagemaker` stops one."""
    from workshop.aws import training_jobs

    name = _train(aws, "stopped")
    training_jobs.stop(name, aws)
    training_jobs.follow(name, _quiet, timeout_seconds=SECONDS, aws=aws)


def another_image(aws: Any) -> None:
    """The lab trains with MXNet's image; TensorFlow's does as well, here with a job that learns nothing."""
    from workshop import jobs
    from workshop.settings import in_environment

    with in_environment(aws.settings.environment()):
        jobs.run("prepare-satisfaction", on="sagemaker", settings=aws.settings, on_progress=_quiet)


def updated_endpoint(aws: Any) -> None:
    """A second configuration in the place of the first, as where the lab is done again; and a look into its log."""
    from workshop.aws import hosting, logs

    sagemaker, name, tags = aws.client("sagemaker"), NAME.format(course=aws.name), _tags(aws)
    model = _model(aws)
    for number in (1, 2):
        variant = {"VariantName": "A", "ModelName": model, "InstanceType": KIND, "InitialInstanceCount": 1}
        config = f"{name}-{number}"
        sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant], Tags=tags)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}-1", Tags=tags)
    hosting.wait(name, on_line=_quiet, aws=aws)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-2")
    hosting.wait(name, on_line=_quiet, aws=aws)
    hosting.predict(name, [[1.0] * FEATURES], aws=aws)
    logs.tail(hosting.log_group(name), aws=aws)


def batch(aws: Any) -> None:
    """A batch transform to its end, with a look into its log, and one that is stopped."""
    from workshop.aws import logs, objects, stacks

    sagemaker, model = aws.client("sagemaker"), _model(aws)
    place = _place(aws)
    objects.write_bytes(f"{place}/asked/rows.csv", _csv(labels=False), aws)
    output = f"s3://{stacks.output('OutputBucket', aws)}/satisfaction/beside"
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{place}/asked/"}}
    for number in (1, 2):
        name = f"{NAME.format(course=aws.name)}-{number}-{int(time.time())}"
        sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=model,
            TransformInput={"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
            TransformOutput={"S3OutputPath": output},
            TransformResources={"InstanceType": KIND, "InstanceCount": 1},
            Tags=_tags(aws),
        )
        if number == 2:
            sagemaker.stop_transform_job(TransformJobName=name)
        _wait_for_transform(name, aws)
        if number == 1:
            group = "/aws/sagemaker/TransformJobs"
            found = aws.client("logs").describe_log_streams(logGroupName=group, logStreamNamePrefix=name)
            for stream in found["logStreams"]:
                logs.read(group, stream["logStreamName"], aws)


def _wait_for_transform(name: str, aws: Any) -> None:
    from workshop.aws import waiting

    def has_ended() -> bool:
        found = aws.client("sagemaker").describe_transform_job(TransformJobName=name)
        return found["TransformJobStatus"] in ("Completed", "Stopped", "Failed")

    waiting.until(has_ended, SECONDS, f"{name} to end")


def registry(aws: Any) -> None:
    """A version of a model, approved."""
    sagemaker, name = aws.client("sagemaker"), NAME.format(course=aws.name)
    described = sagemaker.describe_model(ModelName=_model(aws))["PrimaryContainer"]
    container = {key: described[key] for key in ("Image", "ModelDataUrl")}
    sagemaker.create_model_package_group(ModelPackageGroupName=name, Tags=_tags(aws))
    version = sagemaker.create_model_package(
        ModelPackageGroupName=name,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=version, ModelApprovalStatus="Approved")


def function(aws: Any) -> None:
    """Asked without the API; and the form, which it builds."""
    from workshop.aws import apis, stacks

    survey = json.dumps({"data": ",".join("1" * 22)}).encode()
    aws.client("lambda").invoke(FunctionName=stacks.output("PredictFunctionName", aws), Payload=survey)
    apis.call("/", method="GET", address=apis.url(aws=aws))


STEPS = (
    ("a training job, stopped", stopped_training),
    ("a training job with the other image", another_image),
    ("an endpoint, updated", updated_endpoint),
    ("batch transforms", batch),
    ("a version in the registry", registry),
    ("the function and its form", function),
)


def _train(aws: Any, what: str) -> str:
    from workshop.aws import algorithms, objects, stacks

    name = f"{NAME.format(course=aws.name)}-{what}-{int(time.time())}"
    place = _place(aws)
    objects.write_bytes(f"{place}/train/train.csv", _csv(labels=True), aws)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{place}/train/"}}
    image = algorithms.image("linear-learner", aws.region)
    aws.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=stacks.output("SageMakerRoleArn", aws),
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters={**LEARNING, "feature_dim": str(FEATURES)},
        InputDataConfig=[{"ChannelName": "train", "DataSource": source, "ContentType": "text/csv"}],
        OutputDataConfig={"S3OutputPath": f"s3://{stacks.output('ModelBucket', aws)}/satisfaction"},
        ResourceConfig={"InstanceType": KIND, "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        Tags=_tags(aws),
    )
    return name


def _model(aws: Any) -> str:
    """A model of its own, trained at the first call."""
    from workshop.aws import algorithms, sagemaker_names, stacks, training_jobs

    name = NAME.format(course=aws.name)
    if sagemaker_names.described("describe_model", aws, ModelName=name) is None:
        trained = training_jobs.follow(_train(aws, "model"), _quiet, timeout_seconds=SECONDS, aws=aws)
        aws.client("sagemaker").create_model(
            ModelName=name,
            PrimaryContainer={
                "Image": algorithms.image("linear-learner", aws.region),
                "ModelDataUrl": trained.model,
            },
            ExecutionRoleArn=stacks.output("SageMakerRoleArn", aws),
            Tags=_tags(aws),
        )
    return name


def _csv(labels: bool, rows: int = 200) -> bytes:
    chance = random.Random(1)
    lines = []
    for _ in range(rows):
        row = [chance.gauss(0, 1) for _ in range(FEATURES)]
        lines.append(",".join([*([str(int(row[0] > 0))] if labels else []), *(f"{x:.3f}" for x in row)]))
    return "\n".join(lines).encode()


def _place(aws: Any) -> str:
    from workshop.aws import stacks

    return f"s3://{stacks.output('InputBucket', aws)}/satisfaction/beside"


def _tags(aws: Any) -> list[dict[str, str]]:
    return [{"Key": "workshop", "Value": aws.name}]


def _quiet(event: Any) -> None:
    """Nobody reads along."""

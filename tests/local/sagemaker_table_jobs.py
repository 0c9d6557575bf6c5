"""Training and batch transform jobs in SageMaker's table. Not a test."""

from sagemaker_rows import (
    ENUM,
    FROM_NOWHERE,
    NO_MODEL,
    NO_OBJECTS,
    NO_TRUST,
    NOT_STOPPABLE,
    NOTHING_THERE,
    OPERATOR,
    REFERENCE,
    SAME_TRAINING_JOB,
    Row,
    duplicate,
    listed,
    missing,
    name,
    state,
    value,
)

NO_TRAINING_JOB = missing("Requested resource not found", TrainingJobName="none")

TRAINING = (
    Row(
        "CreateTrainingJob",
        lambda aws: aws.training("new"),
        (
            duplicate(
                "Training job names must be unique within an AWS account and region",
                SAME_TRAINING_JOB,
                "ResourceInUse",
                TrainingJobName="done",
            ),
            name("TrainingJobName"),
            value(
                "at 'stoppingCondition.maxRuntimeInSeconds'",
                REFERENCE.format("StoppingCondition"),
                TrainingJobName="long",
                StoppingCondition={"MaxRuntimeInSeconds": 0},
            ),
            value(
                ENUM,
                REFERENCE.format("ResourceConfig"),
                ResourceConfig={"InstanceType": "ml.huge", "InstanceCount": 1, "VolumeSizeInGB": 1},
            ),
            value(
                "Could not assume role",
                NO_TRUST,
                TrainingJobName="trusted",
                RoleArn="arn:aws:iam::123456789012:role/others",
            ),
            missing(
                NOTHING_THERE,
                NO_OBJECTS,
                TrainingJobName="fed",
                InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": FROM_NOWHERE}}],
            ),
        ),
    ),
    Row(
        "DescribeTrainingJob",
        lambda aws: {"TrainingJobName": "done"},
        (NO_TRAINING_JOB, name("TrainingJobName")),
    ),
    Row(
        "StopTrainingJob",
        lambda aws: {"TrainingJobName": "stopped"},
        (
            NO_TRAINING_JOB,
            name("TrainingJobName"),
            state(
                "The request was rejected because the training job is in status Completed",
                NOT_STOPPABLE,
                TrainingJobName="done",
            ),
        ),
    ),
    listed("ListTrainingJobs", {}, value(ENUM, REFERENCE.format("ListTrainingJobs"), StatusEquals="Lost")),
    Row(
        "DeleteTrainingJob",
        lambda aws: {"TrainingJobName": "gone"},
        (
            NO_TRAINING_JOB,
            name("TrainingJobName"),
            state("", REFERENCE.format("DeleteTrainingJob"), "ResourceInUse", TrainingJobName="running"),
        ),
    ),
)

TRANSFORM = (
    Row(
        "CreateTransformJob",
        lambda aws: aws.transform("new", "m"),
        (
            duplicate(
                "ob name must be unique within an AWS account and region, and a job with this name already",
                REFERENCE.format("CreateTransformJob"),
                "ResourceInUse",
                TransformJobName="t",
            ),
            name("TransformJobName"),
            value(
                ENUM, REFERENCE.format("CreateTransformJob"), TransformJobName="other", BatchStrategy="All"
            ),
            missing(NO_MODEL, TransformJobName="other", ModelName="none"),
            missing(
                NOTHING_THERE,
                NO_OBJECTS,
                TransformJobName="fed",
                TransformInput={"DataSource": {"S3DataSource": FROM_NOWHERE}},
            ),
        ),
    ),
    Row(
        "DescribeTransformJob",
        lambda aws: {"TransformJobName": "t"},
        (
            missing("Could not find requested job with name", TransformJobName="none"),
            name("TransformJobName"),
        ),
    ),
    listed("ListTransformJobs", {}, value(ENUM, REFERENCE.format("ListTransformJobs"), StatusEquals="Lost")),
    Row(
        "StopTransformJob",
        lambda aws: {"TransformJobName": "stopped"},
        (
            missing("Could not find", OPERATOR, TransformJobName="none"),
            name("TransformJobName"),
            state(
                "The request was rejected because the transform job is in status Completed",
                NOT_STOPPABLE,
                TransformJobName="t",
            ),
        ),
    ),
)

"""Models, endpoint configurations and endpoints in SageMaker's table. Not a test."""

from clients_world import BUCKET, arn, variant_of
from sagemaker_rows import (
    ENUM,
    NO_ACCESS,
    NO_ARTEFACT,
    NO_MODEL,
    OPERATOR,
    REFERENCE,
    SAME_CONFIG,
    SAME_ENDPOINT,
    Row,
    duplicate,
    listed,
    missing,
    name,
    state,
    value,
)

NO_CONFIG = f'Could not find endpoint configuration "{arn("endpoint-config", "none")}"'
NO_ENDPOINT = missing(f'Could not find endpoint "{arn("endpoint", "none")}"', EndpointName="none")
IN_PROGRESS = state(
    f'Cannot update in-progress endpoint "{arn("endpoint", "coming")}"', OPERATOR, EndpointName="coming"
)
WEIGHTS = [{"VariantName": "AllTraffic", "DesiredWeight": 2.0}]

HOSTING = (
    Row(
        "CreateModel",
        lambda aws: aws.model("new", aws.artefact),
        (
            duplicate(
                f'Cannot create already existing model "{arn("model", "m")}"', SAME_CONFIG, ModelName="m"
            ),
            name("ModelName"),
            value(
                "Could not access model data",
                NO_ACCESS,
                ModelName="trusted",
                ExecutionRoleArn="arn:aws:iam::123456789012:role/others",
            ),
            missing(
                f"Could not find model data at s3://{BUCKET}/none.tar.gz",
                NO_ARTEFACT,
                ModelName="empty",
                PrimaryContainer={"ModelDataUrl": f"s3://{BUCKET}/none.tar.gz"},
            ),
        ),
    ),
    Row(
        "DescribeModel",
        lambda aws: {"ModelName": "m"},
        (missing(NO_MODEL, ModelName="none"), name("ModelName")),
    ),
    listed("ListModels", {}),
    Row(
        "DeleteModel",
        lambda aws: {"ModelName": "gone"},
        (missing(NO_MODEL, ModelName="none"), name("ModelName")),
    ),
    Row(
        "CreateEndpointConfig",
        lambda aws: {"EndpointConfigName": "new", "ProductionVariants": [variant_of("m")]},
        (
            duplicate(
                f'Cannot create already existing endpoint configuration "{arn("endpoint-config", "e")}"',
                SAME_CONFIG,
                EndpointConfigName="e",
            ),
            name("EndpointConfigName"),
            value(
                "at 'productionVariants.1.member.modelName'",
                EndpointConfigName="other",
                ProductionVariants=[variant_of("ENTER MODEL NAME")],
            ),
            missing(NO_MODEL, EndpointConfigName="other", ProductionVariants=[variant_of("none")]),
        ),
    ),
    Row(
        "DescribeEndpointConfig",
        lambda aws: {"EndpointConfigName": "e"},
        (missing(NO_CONFIG, EndpointConfigName="none"), name("EndpointConfigName")),
    ),
    listed("ListEndpointConfigs", {}),
    Row(
        "DeleteEndpointConfig",
        lambda aws: {"EndpointConfigName": "gone"},
        (missing(NO_CONFIG, EndpointConfigName="none"), name("EndpointConfigName")),
    ),
    Row(
        "CreateEndpoint",
        lambda aws: {"EndpointName": "new", "EndpointConfigName": "e"},
        (
            duplicate(
                f'Cannot create already existing endpoint "{arn("endpoint", "e")}"',
                SAME_ENDPOINT,
                EndpointName="e",
            ),
            name("EndpointName"),
            missing(NO_CONFIG, EndpointName="other", EndpointConfigName="none"),
        ),
    ),
    Row("DescribeEndpoint", lambda aws: {"EndpointName": "e"}, (NO_ENDPOINT, name("EndpointName"))),
    listed("ListEndpoints", {}, value(ENUM, REFERENCE.format("ListEndpoints"), StatusEquals="Lost")),
    Row(
        "UpdateEndpointWeightsAndCapacities",
        lambda aws: {"EndpointName": "e", "DesiredWeightsAndCapacities": WEIGHTS},
        (
            NO_ENDPOINT,
            IN_PROGRESS,
            name("EndpointName"),
            value(
                "none",
                REFERENCE.format("UpdateEndpointWeightsAndCapacities"),
                DesiredWeightsAndCapacities=[{"VariantName": "none", "DesiredWeight": 1.0}],
            ),
            value(
                "at 'desiredWeightsAndCapacities.1.member.desiredWeight'",
                REFERENCE.format("DesiredWeightAndCapacity"),
                DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": -1.0}],
            ),
        ),
    ),
    Row(
        "UpdateEndpoint",
        lambda aws: {"EndpointName": "updated", "EndpointConfigName": "e"},
        (
            NO_ENDPOINT,
            IN_PROGRESS,
            name("EndpointName"),
            missing(NO_CONFIG, EndpointName="e", EndpointConfigName="none"),
        ),
    ),
    Row(
        "DeleteEndpoint",
        lambda aws: {"EndpointName": "gone"},
        (NO_ENDPOINT, IN_PROGRESS, name("EndpointName")),
    ),
)

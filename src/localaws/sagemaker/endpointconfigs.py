"""Endpoint configurations: which models an endpoint has as variants, on what machines, and with which weights.

Try it:  aws sagemaker create-endpoint-config --endpoint-config-name NAME --production-variants …
Knows nothing of what runs.
"""

from localaws.sagemaker import arns, events, models, refusals, tagging
from localaws.sagemaker.context import Context
from localaws.sagemaker.listing import Listing
from localaws.sagemaker.refusals import invalid, unsupported
from localaws.sagemaker.store import Record

KIND = "endpoint-config"
CONFIGS = Listing("EndpointConfigs", "EndpointConfigName")
LEFT_OUT = {
    "AsyncInferenceConfig": "asynchronous endpoints",
    "DataCaptureConfig": "data capture",
    "ShadowProductionVariants": "shadow variants",
    "ExplainerConfig": "explainers",
    "MetricsConfig": "enhanced metrics",
    "ExecutionRoleArn": "inference components",
    "VpcConfig": "inference components",
}
LEFT_OUT_OF_VARIANTS = {
    "ServerlessConfig": "serverless endpoints",
    "AcceleratorType": "Elastic Inference",
    "CoreDumpConfig": "core dumps",
    "ManagedInstanceScaling": "inference components",
    "InstancePools": "instance pools",
    "CapacityReservationConfig": "capacity reservations",
}


class Area:
    """CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.store = context.store
        self.operations = {
            "CreateEndpointConfig": self.create,
            "DescribeEndpointConfig": self.describe,
            "ListEndpointConfigs": self.list,
            "DeleteEndpointConfig": self.delete,
        }

    def create(self, request: Record) -> Record:
        name = request["EndpointConfigName"]
        arn = arns.arn(KIND, name)
        for member, what in LEFT_OUT.items():
            if request.get(member):
                raise unsupported(f"{what} ({member})")
        if self.store.get(KIND, name):
            raise refusals.exists(KIND, arn)
        record = {
            "EndpointConfigName": name,
            "EndpointConfigArn": arn,
            "ProductionVariants": self._variants(request["ProductionVariants"]),
            "KmsKeyId": request.get("KmsKeyId"),
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            "CreationTime": self.context.now(),
            "_arn": arn,
            "_tags": tagging.at_creation(request),
        }
        if not self.store.add(KIND, name, record):
            raise refusals.exists(KIND, arn)
        events.put(events.ENDPOINT_CONFIG, record, arn)
        return {"EndpointConfigArn": arn}

    def _variants(self, given: list[Record]) -> list[Record]:
        """The variants with the values that AWS puts in.

        Errors: Refused.
        """
        names = [each["VariantName"].lower() for each in given]
        if len(set(names)) < len(names):
            raise invalid("Duplicate production variant names are not allowed in an endpoint configuration.")
        variants = [self._variant(each) for each in given]
        if not any(each["InitialVariantWeight"] for each in variants):
            raise invalid("The sum of all variant weights must be greater than 0.")
        return variants

    def _variant(self, given: Record) -> Record:
        for member, what in LEFT_OUT_OF_VARIANTS.items():
            if given.get(member):
                raise unsupported(f"{what} ({member})")
        if not given.get("ModelName"):
            raise unsupported("inference components (a variant without ModelName)")
        missing = [name for name in ("InstanceType", "InitialInstanceCount") if not given.get(name)]
        if missing:
            raise invalid(f"{' and '.join(missing)} must be given for the variant {given['VariantName']}.")
        self.context.find(models.KIND, given["ModelName"])
        return {"InitialVariantWeight": 1.0, **given}

    def describe(self, request: Record) -> Record:
        return self.context.find(KIND, request["EndpointConfigName"])

    def list(self, request: Record) -> Record:
        return CONFIGS.answer(request, self.store.of(KIND))

    def delete(self, request: Record) -> Record:
        """Of an endpoint that runs, too: AWS advises against it and does it (API reference)."""
        record = self.context.take_out(KIND, request["EndpointConfigName"])
        events.put(events.ENDPOINT_CONFIG, record, record["_arn"])
        return {}

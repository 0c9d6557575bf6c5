"""Models: an image, where its artefact lies, and the role that its containers act with.

Try it:  aws sagemaker create-model --model-name NAME --execution-role-arn ROLE --primary-container Image=…
Knows nothing of endpoints. What a model's container really is, wherever it was said, is kept in `_container`.
"""

from localaws.sagemaker import access, arns, events, images, packages, refusals, tagging
from localaws.sagemaker.context import Context
from localaws.sagemaker.listing import Listing
from localaws.sagemaker.refusals import invalid, unsupported
from localaws.sagemaker.store import Record

KIND = "model"
MODELS = Listing("Models", "ModelName")
# Members of a container that ask for something else than one image with one archive.
LEFT_OUT = {
    "MultiModelConfig": "multi-model endpoints",
    "AdditionalModelDataSources": "additional model data sources",
    "InferenceSpecificationName": "additional inference specifications",
    "ContainerMetricsConfig": "metrics of a container's own",
}


class Area:
    """CreateModel, DescribeModel, ListModels, DeleteModel."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.store = context.store
        self.operations = {
            "CreateModel": self.create,
            "DescribeModel": self.describe,
            "ListModels": self.list,
            "DeleteModel": self.delete,
        }

    def create(self, request: Record) -> Record:
        arn = arns.arn(KIND, request["ModelName"])
        if self.store.get(KIND, request["ModelName"]):
            raise refusals.exists(KIND, arn)
        given = _container(request)
        container = _resolved(self.context, given)
        role = request.get("ExecutionRoleArn")
        if not role:
            raise invalid("ExecutionRoleArn is required for a model with containers.")
        tags = tagging.at_creation(request)
        images.check(self.context, container["Image"])
        access.check(role, container["ModelDataUrl"])
        record = {
            "ModelName": request["ModelName"],
            "ModelArn": arn,
            "PrimaryContainer": given,
            "ExecutionRoleArn": role,
            "VpcConfig": request.get("VpcConfig"),
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            "CreationTime": self.context.now(),
            "_arn": arn,
            "_tags": tags,
            "_container": container,
        }
        if request.get("Containers"):
            record["Containers"] = [record.pop("PrimaryContainer")]
        if not self.store.add(KIND, request["ModelName"], record):
            raise refusals.exists(KIND, arn)
        events.put(events.MODEL, record, arn)
        return {"ModelArn": arn}

    def describe(self, request: Record) -> Record:
        return self.context.find(KIND, request["ModelName"])

    def list(self, request: Record) -> Record:
        return MODELS.answer(request, self.store.of(KIND))

    def delete(self, request: Record) -> Record:
        """Endpoints that run go on: they were made of what the model said (API reference, DeleteModel)."""
        record = self.context.take_out(KIND, request["ModelName"])
        events.put(events.MODEL, record, record["_arn"])
        return {}


def _container(request: Record) -> Record:
    """The one container of the model, as it was given."""
    several = request.get("Containers") or []
    if request.get("PrimaryContainer") and several:
        raise invalid("Cannot provide both PrimaryContainer and Containers. Please provide only one of them.")
    if len(several) > 1:
        raise unsupported("inference pipelines (models of several containers)")
    if request.get("InferenceExecutionConfig"):
        raise unsupported("InferenceExecutionConfig, which is for inference pipelines")
    given: Record | None = request.get("PrimaryContainer") or next(iter(several), None)
    if not given:
        raise invalid("A model needs a PrimaryContainer or Containers.")
    _check_kind(given)
    return {**given, "Mode": given.get("Mode", "SingleModel")}


def _check_kind(given: Record) -> None:
    for name, what in LEFT_OUT.items():
        if given.get(name):
            raise unsupported(f"{what} ({name})")
    if given.get("Mode") == "MultiModel":
        raise unsupported("multi-model endpoints (Mode MultiModel)")
    if (given.get("ImageConfig") or {}).get("RepositoryAccessMode") == "Vpc":
        raise unsupported("images of registries in a VPC (RepositoryAccessMode Vpc)")
    if bool(given.get("Image")) == bool(given.get("ModelPackageName")):
        raise invalid("A container definition needs either Image or ModelPackageName, and not both.")
    if given.get("ModelPackageName") and (given.get("ModelDataUrl") or given.get("ModelDataSource")):
        raise invalid("ModelDataUrl cannot be given with ModelPackageName: the model package has its own.")


def _resolved(context: Context, given: Record) -> Record:
    """The container with Image, ModelDataUrl and Environment, of a model package too."""
    found: Record = {
        name: given[name] for name in ("Image", "ModelDataUrl", "Environment") if given.get(name)
    }
    source = given.get("ModelDataSource")
    if given.get("ModelPackageName"):
        packaged = packages.container(context, given["ModelPackageName"])
        environment = {**packaged.get("Environment", {}), **given.get("Environment", {})}
        found = {**packaged, "Environment": environment}
        source = packaged.get("ModelDataSource")
    if source:
        if found.get("ModelDataUrl"):
            raise invalid("Only one of ModelDataUrl and ModelDataSource can be given.")
        found["ModelDataUrl"] = _archive(source)
    return {
        "Image": found["Image"],
        "ModelDataUrl": found.get("ModelDataUrl"),
        "Environment": dict(found.get("Environment") or {}),
    }


def _archive(source: Record) -> str:
    """The one archive that a ModelDataSource names, which is what ModelDataUrl says more shortly."""
    data = source.get("S3DataSource") or {}
    if data.get("S3DataType") != "S3Object" or data.get("CompressionType") != "Gzip":
        raise unsupported(
            "uncompressed model data (ModelDataSource, but an S3Object with CompressionType Gzip)"
        )
    return str(data["S3Uri"])

"""Model packages: what is registered of a model, version by version, and whether somebody approved it.

Try it:  aws sagemaker create-model-package --model-package-group-name NAME --inference-specification …
Nothing is scanned or validated: a package is Completed at once, as a versioned one is on AWS when it asks for no
validation. Knows nothing of models that are made of packages.
"""

from typing import Any

from localaws.sagemaker import arns, events, packagegroups, tagging
from localaws.sagemaker.context import Context
from localaws.sagemaker.listing import Listing
from localaws.sagemaker.refusals import invalid, unsupported
from localaws.sagemaker.store import Record

KIND = packagegroups.PACKAGE
PACKAGES = Listing("ModelPackageSummaryList", "ModelPackageName", order="Ascending")
APPROVED, PENDING = "Approved", "PendingManualApproval"
MOST_PROPERTIES = 50
LEFT_OUT = {
    "ValidationSpecification": "validation of model packages",
    "SourceAlgorithmSpecification": "algorithms as resources",
    "SecurityConfig": "model packages that are encrypted with KMS keys",
    "ManagedStorageType": "managed storage of model packages",
    "CertifyForMarketplace": "AWS Marketplace",
}
# Members of a request that are not kept as they are.
NOT_KEPT = ("Tags", "ClientToken", "ModelPackageGroupName", "ModelPackageName", "CertifyForMarketplace")


class Area:
    """CreateModelPackage, DescribeModelPackage, BatchDescribeModelPackage, ListModelPackages, UpdateModelPackage,
    DeleteModelPackage."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.store = context.store
        self.operations = {
            "CreateModelPackage": self.create,
            "DescribeModelPackage": self.describe,
            "BatchDescribeModelPackage": self.describe_several,
            "ListModelPackages": self.list,
            "UpdateModelPackage": self.update,
            "DeleteModelPackage": self.delete,
        }

    def create(self, request: Record) -> Record:
        for member, what in LEFT_OUT.items():
            if request.get(member):
                raise unsupported(f"{what} ({member})")
        group, name = request.get("ModelPackageGroupName"), request.get("ModelPackageName")
        if group and name:
            raise invalid(
                "Both ModelPackageName and ModelPackageGroupName are provided in the input. "
                "Cannot determine which one to use."
            )
        if not group and not name:
            raise invalid("Missing ARN.")
        record = self._new(request)
        with self.store.changing:
            place = self._versioned(request, record) if group else self._unversioned(request, record)
            if not self.store.add(KIND, place, record):
                raise invalid(f"Model Package already exists: {record['_arn']}")
        _send(record)
        return {"ModelPackageArn": record["_arn"]}

    def _new(self, request: Record) -> Record:
        return {
            **{name: value for name, value in request.items() if name not in NOT_KEPT},
            "CreationTime": self.context.now(),
            "CreatedBy": {},
            "CertifyForMarketplace": False,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "_tags": tagging.at_creation(request),
        }

    def _versioned(self, request: Record, record: Record) -> str:
        group = packagegroups.find(self.context, request["ModelPackageGroupName"])
        if record["_tags"]:
            # A version has its group's tags (developer guide, "Register a Model Version").
            raise invalid("Tags are not supported for versioned ModelPackages: tag the ModelPackageGroup.")
        group["_versions"] += 1
        place = f"{group['ModelPackageGroupName']}/{group['_versions']}"
        record |= {
            "ModelPackageName": group["ModelPackageGroupName"],
            "ModelPackageGroupName": group["ModelPackageGroupName"],
            "ModelPackageVersion": group["_versions"],
            "ModelApprovalStatus": request.get("ModelApprovalStatus", PENDING),
        }
        record["ModelPackageArn"] = record["_arn"] = arns.arn(KIND, place)
        return place

    def _unversioned(self, request: Record, record: Record) -> str:
        if request.get("ModelApprovalStatus"):
            raise invalid("ModelApprovalStatus is not supported for unversioned ModelPackages.")
        if not request.get("InferenceSpecification"):
            raise invalid("InferenceSpecification is required for unversioned ModelPackages.")
        record["ModelPackageName"] = request["ModelPackageName"]
        record["ModelPackageArn"] = record["_arn"] = arns.arn(KIND, request["ModelPackageName"])
        return str(request["ModelPackageName"])

    def describe(self, request: Record) -> Record:
        return find(self.context, request["ModelPackageName"])

    def describe_several(self, request: Record) -> Record:
        found: dict[str, Record] = {}
        missing: dict[str, Record] = {}
        for arn in request["ModelPackageArnList"]:
            record = self.store.get(KIND, arns.name_of(arn, KIND))
            if record:
                found[arn] = record
            else:
                message = f"ModelPackage {arn} does not exist."
                missing[arn] = {"ErrorCode": "ValidationException", "ErrorResponse": message}
        return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": missing}

    def list(self, request: Record) -> Record:
        """Versions of one group, or packages without versions, which is what AWS lists if it isn't told."""
        wanted = request.get("ModelPackageType")
        if request.get("ModelPackageGroupName"):
            records = packagegroups.versions_of(
                self.context, packagegroups.find(self.context, request["ModelPackageGroupName"])
            )
        else:
            records = self.store.of(KIND)
            wanted = wanted or "Unversioned"
        if wanted in ("Versioned", "Unversioned"):
            records = [each for each in records if ("ModelPackageVersion" in each) == (wanted == "Versioned")]
        status = request.get("ModelApprovalStatus")
        records = [each for each in records if status in (None, each.get("ModelApprovalStatus"))]
        return PACKAGES.answer(request, records)

    def update(self, request: Record) -> Record:
        with self.store.changing:
            record = find(self.context, request["ModelPackageArn"])
            changed = _changed(record, request)
            changed["LastModifiedTime"] = self.context.now()
            changed["LastModifiedBy"] = {}
            record |= changed
        _send({**record, "UpdatedModelPackageFields": [name for name in TOLD if name in request]})
        return {"ModelPackageArn": record["_arn"]}

    def delete(self, request: Record) -> Record:
        with self.store.changing:
            record = find(self.context, request["ModelPackageName"])
            self.store.remove(KIND, arns.parsed(record["_arn"])[1])
        _send({**record, "ModelPackageStatus": "Deleting"})
        return {}


def find(context: Context, name_or_arn: str) -> Record:
    """The package of that name or ARN; a version has only an ARN.

    Errors: Refused, as AWS says that there is none.
    """
    name = arns.name_of(name_or_arn, KIND)
    record = context.store.get(KIND, name) if name else None
    if record is None:
        raise invalid(f"ModelPackage {arns.arn(KIND, name) if name else name_or_arn} does not exist.")
    return record


def container(context: Context, name_or_arn: str) -> Record:
    """What a model of this package runs.

    Errors: Refused; a version that nobody approved can't be deployed (API reference, CreateModelPackage,
    ModelApprovalStatus).
    """
    record = find(context, name_or_arn)
    status = record.get("ModelApprovalStatus", APPROVED)
    if status != APPROVED:
        raise invalid(
            f"ModelPackage {record['_arn']} cannot be deployed: its ModelApprovalStatus is {status}, not {APPROVED}."
        )
    containers = (record.get("InferenceSpecification") or {}).get("Containers") or []
    if len(containers) > 1:
        raise unsupported("inference pipelines (model packages of several containers)")
    if not containers or not containers[0].get("Image"):
        raise invalid(f"ModelPackage {record['_arn']} has no InferenceSpecification with an image.")
    return dict(containers[0])


def _changed(record: Record, request: Record) -> dict[str, Any]:
    changed = {name: value for name, value in request.items() if name in CHANGES}
    if "ModelApprovalStatus" in changed and "ModelPackageVersion" not in record:
        raise invalid("ModelApprovalStatus is not supported for unversioned ModelPackages.")
    if "InferenceSpecification" in changed and record.get("InferenceSpecification"):
        raise invalid(f"ModelPackage {record['_arn']} has an InferenceSpecification already.")
    properties = {**(record.get("CustomerMetadataProperties") or {})}
    for name in request.get("CustomerMetadataPropertiesToRemove") or []:
        properties.pop(name, None)
    properties |= request.get("CustomerMetadataProperties") or {}
    if len(properties) > MOST_PROPERTIES:
        raise invalid(f"A ModelPackage can have {MOST_PROPERTIES} CustomerMetadataProperties at most.")
    added = request.get("AdditionalInferenceSpecificationsToAdd") or []
    if added:
        changed["AdditionalInferenceSpecifications"] = [
            *(record.get("AdditionalInferenceSpecifications") or []),
            *added,
        ]
    return {**changed, "CustomerMetadataProperties": properties or None}


# Members of UpdateModelPackage that take the place of what was there.
CHANGES = (
    "ModelApprovalStatus",
    "ModelPackageRegistrationType",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)
# Changes that an event names.
TOLD = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "SourceUri",
    "CustomerMetadataProperties",
    "InferenceSpecification",
    "ModelLifeCycle",
)


def _send(record: Record) -> None:
    events.put(events.MODEL_PACKAGE, record, record["_arn"])

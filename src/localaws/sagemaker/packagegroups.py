"""Model package groups: the names under which versions of a model are registered.

Try it:  aws sagemaker create-model-package-group --model-package-group-name NAME
Knows packages only to say whether a group has any.
"""

from localaws.sagemaker import arns, tagging
from localaws.sagemaker.context import Context
from localaws.sagemaker.listing import Listing
from localaws.sagemaker.refusals import conflict, invalid
from localaws.sagemaker.store import Record

KIND, PACKAGE = "model-package-group", "model-package"
GROUPS = Listing("ModelPackageGroupSummaryList", "ModelPackageGroupName", order="Ascending")


class Area:
    """CreateModelPackageGroup, DescribeModelPackageGroup, ListModelPackageGroups, DeleteModelPackageGroup."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.store = context.store
        self.operations = {
            "CreateModelPackageGroup": self.create,
            "DescribeModelPackageGroup": self.describe,
            "ListModelPackageGroups": self.list,
            "DeleteModelPackageGroup": self.delete,
        }

    def create(self, request: Record) -> Record:
        name = request["ModelPackageGroupName"]
        arn = arns.arn(KIND, name)
        record = {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": arn,
            "ModelPackageGroupDescription": request.get("ModelPackageGroupDescription"),
            "CreationTime": self.context.now(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
            "_arn": arn,
            "_tags": tagging.at_creation(request),
            "_versions": 0,  # how many there have been: numbers are not given twice
        }
        if not self.store.add(KIND, name, record):
            raise invalid(f"Model Package Group already exists: {arn}")
        return {"ModelPackageGroupArn": arn}

    def describe(self, request: Record) -> Record:
        return find(self.context, request["ModelPackageGroupName"])

    def list(self, request: Record) -> Record:
        return GROUPS.answer(request, self.store.of(KIND))

    def delete(self, request: Record) -> Record:
        with self.store.changing:
            group = find(self.context, request["ModelPackageGroupName"])
            if versions_of(self.context, group):
                raise conflict(
                    f"Model Package Group {group['_arn']} cannot be deleted because it still contains Model Packages"
                )
            self.store.remove(KIND, group["ModelPackageGroupName"])
        return {}


def find(context: Context, name_or_arn: str) -> Record:
    """The group of that name or ARN.

    Errors: Refused, as AWS says that there is none.
    """
    name = arns.name_of(name_or_arn, KIND)
    record = context.store.get(KIND, name) if name else None
    if record is None:
        arn = arns.arn(KIND, name) if name else name_or_arn
        raise invalid(f"ModelPackageGroup {arn} does not exist.")
    return record


def versions_of(context: Context, group: Record) -> list[Record]:
    """The packages of a group."""
    name = group["ModelPackageGroupName"]
    return [each for each in context.store.of(PACKAGE) if each.get("ModelPackageGroupName") == name]

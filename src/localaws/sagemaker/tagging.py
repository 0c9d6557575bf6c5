"""Tags of SageMaker's resources.

Try it:  aws sagemaker add-tags --resource-arn ARN --tags Key=a,Value=b
A record keeps its tags in `_tags`, a mapping. Knows nothing else of what has the tags.
"""

from collections.abc import Callable, Iterator

from localaws.sagemaker import arns, listing
from localaws.sagemaker.context import Context
from localaws.sagemaker.refusals import invalid
from localaws.sagemaker.store import KINDS, Record, Store

MOST_TAGS = 50
DEFAULT_PAGE = 50  # of ListTags, whose MaxResults begins there
RESERVED = "aws:"
Tags = list[dict[str, str]]


def at_creation(request: Record) -> dict[str, str]:
    """The `_tags` of a new record."""
    return _read(request.get("Tags") or [])


def inherited(tags: dict[str, str]) -> Tags:
    """As a request gives them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def collector(store: Store) -> Callable[[], Iterator[tuple[str, Tags]]]:
    """What lists all tagged resources of the request's account and region, by ARN."""

    def tagged() -> Iterator[tuple[str, Tags]]:
        for kind in KINDS:
            for record in store.of(kind):
                if record.get("_tags"):
                    yield record["_arn"], inherited(record["_tags"])

    return tagged


class Area:
    """AddTags, DeleteTags, ListTags."""

    def __init__(self, context: Context) -> None:
        self.store = context.store
        self.operations = {"AddTags": self.add, "DeleteTags": self.delete, "ListTags": self.list}

    def add(self, request: Record) -> Record:
        new = _read(request["Tags"])
        with self.store.changing:
            record = self._record(request)
            tags = {**record.get("_tags", {}), **new}
            if len(tags) > MOST_TAGS:
                raise invalid(f"The number of tags exceeds the limit of {MOST_TAGS}: {len(tags)}")
            record["_tags"] = tags
        return {"Tags": inherited(tags)}

    def delete(self, request: Record) -> Record:
        with self.store.changing:
            record = self._record(request)
            kept = record.get("_tags", {}).items()
            record["_tags"] = {key: value for key, value in kept if key not in request["TagKeys"]}
        return {}

    def list(self, request: Record) -> Record:
        tags = inherited(self._record(request).get("_tags", {}))
        return listing.numbered(request, tags, "Tags", DEFAULT_PAGE)

    def _record(self, request: Record) -> Record:
        arn = request["ResourceArn"]
        kind, name = arns.parsed(arn)
        record = self.store.get(kind, name) if kind in KINDS else None
        if record is None:
            raise invalid(f"Could not find resource {arn}")
        return record


def _read(tags: Tags) -> dict[str, str]:
    if any(each["Key"].lower().startswith(RESERVED) for each in tags):
        raise invalid("Tag keys can't begin with aws:, which AWS keeps for itself")
    read = {each["Key"]: each["Value"] for each in tags}
    if len({key.lower() for key in read}) < len(tags):
        raise invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    return read

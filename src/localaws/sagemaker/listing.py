"""The lists of SageMaker: what is filtered out, in which order the rest comes, and in which pages.

Try it:  aws sagemaker list-models --name-contains x --sort-by Name --sort-order Ascending --max-results 1
All List* operations share these members (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListModels.html
and its neighbours). A token says after which record the next page begins, so that what comes and goes meanwhile is
neither given twice nor makes others be left out; it is good for the same question alone. Knows no resource.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localaws.sagemaker.refusals import Refused, invalid
from localaws.sagemaker.store import Record

DEFAULT_PAGE = 10
TIMES = {"CreationTime": "CreationTime", "LastModifiedTime": "LastModifiedTime"}


@dataclass(frozen=True)
class Listing:
    """How one operation lists.

    member: of the answer. name, status: members of the records. order: without SortOrder. status_late: StatusEquals
    leaves out of a page, as of training jobs, not of the list.
    """

    member: str
    name: str
    status: str = ""
    order: str = "Descending"
    page: int = DEFAULT_PAGE
    status_late: bool = False

    def answer(
        self, request: Record, records: Iterable[Record], summary: Callable[[Record], Record] = dict
    ) -> Record:
        """The page that the request asks for; `shapes.known` keeps what the summary's shape has."""
        asked = request.get("SortBy") or "CreationTime"
        by = {"Name": self.name, "Status": self.status}.get(asked, asked)
        down = (request.get("SortOrder") or self.order) == "Descending"
        found = [each for each in records if self._is_wanted(each, request)]
        if not self.status_late:
            found = [each for each in found if self._has_status(each, request)]
        found.sort(key=lambda each: self._place(each, by), reverse=down)
        found = self._after(request, found, by, down)
        size = int(request.get("MaxResults") or self.page)
        chosen, more = found[:size], len(found) > size
        answer: Record = {self.member: [summary(each) for each in chosen if self._has_status(each, request)]}
        return answer | ({"NextToken": _token(request, self._place(chosen[-1], by))} if more else {})

    def _place(self, record: Record, by: str) -> list[Any]:
        """Where it stands; no two stand in one place."""
        value = record.get(by)
        version = record.get("ModelPackageVersion", 0)
        return [value.lower() if isinstance(value, str) else value or 0, version, record["_arn"]]

    def _has_status(self, record: Record, request: Record) -> bool:
        return request.get("StatusEquals") in (None, record.get(self.status))

    def _is_wanted(self, record: Record, request: Record) -> bool:
        if str(request.get("NameContains") or "").lower() not in str(record.get(self.name) or "").lower():
            return False
        for prefix, member in TIMES.items():
            time = record.get(member, 0)
            after, before = request.get(f"{prefix}After"), request.get(f"{prefix}Before")
            if after is not None and not time > seconds(after):
                return False
            if before is not None and not time < seconds(before):
                return False
        return True

    def _after(self, request: Record, found: list[Record], by: str, down: bool) -> list[Record]:
        if not request.get("NextToken"):
            return found
        last = _place_in(request)
        if down:
            return [each for each in found if self._place(each, by) < last]
        return [each for each in found if self._place(each, by) > last]


def seconds(time: Any) -> float:
    """A timestamp of a JSON request: seconds since the epoch, or ISO 8601."""
    try:
        if isinstance(time, str):
            return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
        return float(time)
    except (TypeError, ValueError) as error:
        raise Refused("SerializationException", f"{time} can not be converted to a Timestamp") from error


def numbered(request: Record, found: list[Any], member: str, page: int) -> Record:
    """A page of a list that keeps its order, such as a resource's tags."""
    first = 0
    if request.get("NextToken"):
        first = int(_place_in(request)[0])
    end = first + int(request.get("MaxResults") or page)
    more = {"NextToken": _token(request, [end])} if end < len(found) else {}
    return {member: found[first:end], **more}


def _question(request: Record) -> str:
    asked = {name: value for name, value in request.items() if name not in ("NextToken", "MaxResults")}
    return json.dumps(asked, sort_keys=True)


def _digest(request: Record, place: str) -> str:
    return hashlib.sha256((_question(request) + place).encode()).hexdigest()[:16]


def _token(request: Record, place: list[Any]) -> str:
    text = json.dumps(place)
    return base64.urlsafe_b64encode((_digest(request, text) + text).encode()).decode()


def _place_in(request: Record) -> list[Any]:
    """What a token says; refused where it is damaged, made up, or of another question."""
    try:
        text = base64.b64decode(request["NextToken"].encode(), altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise invalid("Invalid NextToken") from error
    if text[:16] != _digest(request, text[16:]):
        raise invalid("Invalid NextToken")
    place: list[Any] = json.loads(text[16:])
    return place

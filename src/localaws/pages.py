"""Lists that ministack cuts off, or gives twice, come in pages that end: log events (of the streams that were asked
for), object versions, tags.

Try it:  aws logs filter-log-events --log-group-name GROUP --page-size 100
Knows nothing of what is listed: it counts what a page has given and asks ministack for what comes after.
"""

import json
from typing import Any

Request = dict[str, Any]
MOST_EVENTS = 10_000  # of one FilterLogEvents (API reference), and the most that ministack gives
MOST_RESOURCES = 100  # of one GetResources


def install() -> None:
    """Take the place of ministack's calls; after `tags`, whose resources are listed."""
    from ministack.services import cloudwatch_logs, s3, tagging

    events, versions = cloudwatch_logs._filter_log_events, s3._list_object_versions
    resources = tagging._HANDLERS["GetResources"]
    cloudwatch_logs._filter_log_events = lambda data: _events(events, data)
    s3._list_object_versions = lambda bucket, query: versions(bucket, _after_the_only_version(bucket, query))
    tagging._HANDLERS["GetResources"] = lambda data: _resources(resources, data)


def _events(original: Any, data: Request) -> Any:
    """FilterLogEvents with nextToken: the newest time that was given, and how many events of that time were."""
    from ministack.services import cloudwatch_logs as logs

    start, given = data.get("startTime"), 0
    if data.get("nextToken"):
        first, _, second = str(data["nextToken"]).partition("/")
        if not (first.isdecimal() and second.isdecimal()):
            message = "The specified nextToken is invalid."
            return logs.error_response_json("InvalidParameterException", message, 400)
        start, given = int(first), int(second)
    limit = min(int(data.get("limit") or MOST_EVENTS), MOST_EVENTS - given)
    asked = {**data, "startTime": start, "limit": limit + given}
    status, _, body = answer = original(asked | _streams(data))
    if status >= 400:
        return answer
    document = json.loads(body)
    full = len(document["events"]) == limit + given
    document["events"] = document["events"][given:]
    if full and document["events"]:
        newest = document["events"][-1]["timestamp"]
        count = sum(each["timestamp"] == newest for each in document["events"])
        document["nextToken"] = f"{newest}/{count + (given if newest == start else 0)}"
    return logs.json_response(document)


def _streams(data: Request) -> Request:
    """logStreamNamePrefix, which ministack does not read, as the names of streams; no stream has an empty name."""
    from ministack.services import cloudwatch_logs as logs

    prefix = data.get("logStreamNamePrefix")
    if not prefix:
        return {}
    streams = logs._log_groups.get(logs._resolve_log_group_name(data), {}).get("streams", {})
    return {"logStreamNames": [name for name in streams if name.startswith(prefix)] or [""]}


def _after_the_only_version(bucket: str, query: Request) -> Request:
    """Where a bucket keeps no versions, a page begins after the key; ministack begins with it once more."""
    from ministack.services import s3

    key = s3._qp(query, "key-marker", "")
    if s3._qp(query, "version-id-marker", "") == "null" and not s3._object_versions.get((bucket, key)):
        return {name: value for name, value in query.items() if name != "version-id-marker"}
    return query


def _resources(original: Any, data: Request) -> Any:
    """GetResources with PaginationToken: how many were given."""
    from ministack.services import tagging

    status, headers, body = original(
        {**data} | ({} if data.get("ResourceARNList") else {"PaginationToken": ""})
    )
    token = str(data.get("PaginationToken") or "0")
    document = json.loads(body)
    if status >= 400 or not token.isdecimal() or "ResourceTagMappingList" not in document:
        return status, headers, body
    end = int(token) + min(int(data.get("ResourcesPerPage") or MOST_RESOURCES), MOST_RESOURCES)
    found = document["ResourceTagMappingList"]
    more = str(end) if end < len(found) else ""
    return tagging._json(
        {**document, "ResourceTagMappingList": found[int(token) : end], "PaginationToken": more}
    )

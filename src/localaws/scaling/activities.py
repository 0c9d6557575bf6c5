"""Scaling activities: what was tried, why, and how it ended, in AWS's words.

Try it:  aws application-autoscaling describe-scaling-activities --service-namespace ecs
An activity is in progress until as many tasks run as it asked for; the next one overrides it. Decides nothing.
"""

import json

from localaws.alarms.records import day
from localaws.scaling import services
from localaws.scaling.store import DIMENSION, NAMESPACE, Record, Store, one_at_a_time

KEPT_SECONDS = 42 * 24 * 3600  # six weeks (user guide, "Scaling activities")
MOST_OF_A_TARGET = 500
EVENT = "Application Auto Scaling Scaling Activity State Change"


class Activities:
    """Those of all targets."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def begun(self, resource_id: str, count: int, cause: str, now: float) -> Record:
        """The service has been set to so many tasks."""
        self._override(resource_id, now)
        message = (
            f"Successfully set desired count to {count}. Waiting for change to be fulfilled by {NAMESPACE}."
        )
        activity = _new(resource_id, f"Setting desired count to {count}.", cause, "InProgress", message, now)
        activity["_count"] = count
        self._add(resource_id, activity, now)
        return activity

    def failed(self, resource_id: str, count: int, cause: str, why: str, now: float) -> None:
        """The service could not be set; said once until something else happens."""
        message = f"Failed to set desired count to {count}. Reason: {why}"
        activity = _new(resource_id, f"Setting desired count to {count}.", cause, "Failed", message, now)
        self._add_once(resource_id, {**activity, "EndTime": now}, now)

    def not_scaled(self, resource_id: str, cause: str, reason: Record, now: float) -> None:
        """An alarm went off and there was nothing to do; said once until something else happens."""
        what = "Attempting to scale due to alarm triggered"
        activity = _new(resource_id, what, cause, "Unfulfilled", "", now)
        self._add_once(resource_id, {**activity, "EndTime": now, "NotScaledReasons": [reason]}, now)

    def look(self, now: float) -> None:
        """End the activities whose services have come to what was asked for."""
        from ministack.core.responses import request_scope

        for (account, region, resource_id), found in self.store.activities.all_items():
            for activity in [each for each in found if each["StatusCode"] == "InProgress"]:
                with request_scope(account, region):
                    self._end(resource_id, activity, now)

    def _end(self, resource_id: str, activity: Record, now: float) -> None:
        counts, count = services.counts(resource_id), activity["_count"]
        if counts is None:
            _finish(
                activity, "Unfulfilled", f"Desired count {count} was not reached: the service is gone.", now
            )
        elif counts.desired != count:
            _finish(activity, "Overridden", f"Desired count {count} was replaced by {counts.desired}.", now)
        elif counts.running == count:
            done = f"Successfully set desired count to {count}. Change successfully fulfilled by {NAMESPACE}."
            _finish(activity, "Successful", done, now)
            if activity.get("_event"):
                _send({**activity["_event"], "statusCode": "Successful"}, activity)

    def _override(self, resource_id: str, now: float) -> None:
        for activity in self.store.activities.get(resource_id) or []:
            if activity["StatusCode"] == "InProgress":
                self._end(resource_id, activity, now)

    def _add_once(self, resource_id: str, activity: Record, now: float) -> None:
        newest = (self.store.activities.get(resource_id) or [{}])[0]
        same = ("Cause", "StatusCode", "StatusMessage", "NotScaledReasons")
        if any(newest.get(name) != activity.get(name) for name in same):
            self._add(resource_id, activity, now)

    def _add(self, resource_id: str, activity: Record, now: float) -> None:
        with one_at_a_time:
            found = self.store.activities.setdefault(resource_id, [])
            kept = [each for each in found if each["StartTime"] > now - KEPT_SECONDS]
            found[:] = [activity, *kept][:MOST_OF_A_TARGET]


def event(target: Record, before: int, after: int) -> Record:
    """What EventBridge is told once a target has come to its maximum (user guide, "EventBridge events")."""
    return {
        "newDesiredCapacity": after,
        "oldDesiredCapacity": before,
        "minCapacity": target["MinCapacity"],
        "maxCapacity": target["MaxCapacity"],
        "resourceId": target["ResourceId"],
        "scalableDimension": DIMENSION,
        "serviceNamespace": NAMESPACE,
        "scaledToMax": True,
        "direction": "scale-out",
    }


def _finish(activity: Record, status: str, message: str, now: float) -> None:
    activity |= {"StatusCode": status, "StatusMessage": message, "EndTime": now}


def _new(resource_id: str, what: str, cause: str, status: str, message: str, now: float) -> Record:
    from ministack.core.responses import new_uuid

    activity: Record = {
        "ActivityId": new_uuid(),
        "ServiceNamespace": NAMESPACE,
        "ResourceId": resource_id,
        "ScalableDimension": DIMENSION,
        "Description": what,
        "Cause": cause,
        "StartTime": now,
        "StatusCode": status,
    }
    return {**activity, "StatusMessage": message} if message else activity


def _send(detail: Record, activity: Record) -> None:
    from ministack.core.responses import get_account_id, get_region, new_uuid
    from ministack.services import eventbridge

    times = {"startTime": day(activity["StartTime"]), "endTime": day(activity["EndTime"])}
    eventbridge._dispatch_event(
        {
            "EventId": new_uuid(),
            "Source": "aws.application-autoscaling",
            "DetailType": EVENT,
            "Detail": json.dumps({**detail, **times}),
            "EventBusName": "default",
            "Time": activity["EndTime"],
            "Resources": [],
            "Account": get_account_id(),
            "Region": get_region(),
        }
    )

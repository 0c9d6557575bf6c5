"""What Application Auto Scaling holds: targets, policies, activities, by account and region; also over restarts.

Try it:  aws application-autoscaling describe-scalable-targets --service-namespace ecs
Members that begin with an underscore are notes of ours, and in no answer. Knows no rules.
"""

import threading
from typing import Any

NAMESPACE, DIMENSION = "ecs", "ecs:service:DesiredCount"
STATE_NAME = "application_autoscaling"
Record = dict[str, Any]
# Requests come on the event loop, alarms on a thread of their own.
one_at_a_time = threading.RLock()


class Refused(Exception):
    """A request that the service does not take: its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> Refused:
    """A request that can't be meant."""
    return Refused("ValidationException", message)


class Store:
    """Targets by resource id, policies by (resource id, name), activities by resource id, newest first."""

    def __init__(self) -> None:
        from ministack.core.responses import AccountRegionScopedDict

        self.targets = AccountRegionScopedDict()
        self.policies = AccountRegionScopedDict()
        self.activities = AccountRegionScopedDict()

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        import copy

        with one_at_a_time:
            return copy.deepcopy(
                {"targets": self.targets, "policies": self.policies, "activities": self.activities}
            )

    def restore(self, state: dict[str, Any] | None) -> None:
        """Take over what a former server kept."""
        for name in ("targets", "policies", "activities"):
            getattr(self, name).update((state or {}).get(name, {}))

    def install(self) -> None:
        """Have snapshots keep it, beside ministack's services'."""
        import ministack.app
        from ministack.core import persistence

        of_services = ministack.app._build_persistence_save_dict
        ministack.app._build_persistence_save_dict = lambda: {**of_services(), STATE_NAME: self.state}
        self.restore(persistence.load_state(STATE_NAME))

    def target(self, resource_id: str) -> Record | None:
        """The scalable target of a service."""
        found: Record | None = self.targets.get(resource_id)
        return found

    def policies_of(self, resource_id: str) -> list[Record]:
        """A target's policies, in the order in which they were made."""
        return [each for key, each in self.policies.items() if key[0] == resource_id]

    def policy_by_arn(self, arn: str) -> Record | None:
        """The policy that an alarm's action names."""
        return next((each for each in self.policies.values() if each["PolicyARN"] == arn), None)


def described(resource_id: str) -> str:
    """How messages name a target."""
    return f"service namespace: {NAMESPACE}, resource ID: {resource_id}, scalable dimension: {DIMENSION}"

"""What runs for one endpoint, and how it changes: started, updated beside what serves, resized, taken away.

Try it:  aws sagemaker update-endpoint --endpoint-name NAME --endpoint-config-name OTHER, while it is invoked
Each change is a thread of its own that keeps the endpoint's record true; the calls see to it that there is one change
at a time. Knows records and fleets; what a container is, `serving` knows.
"""

import logging
import threading
from collections.abc import Callable

from localaws.sagemaker import deployments, events, jobfailures
from localaws.sagemaker.context import Context
from localaws.sagemaker.fleets import Fleet
from localaws.sagemaker.hosting import NotServing
from localaws.sagemaker.serving import Serving
from localaws.sagemaker.store import Record
from localaws.sagemaker.variants import Directory, Served

KIND = "endpoint"
INTERNAL = jobfailures.internal().reason
# Events write states in another way than answers do (SageMaker AI events on EventBridge, "Endpoint state change").
EVENT_STATES = {
    "InService": "IN_SERVICE",
    "SystemUpdating": "SYSTEM_UPDATING",
    "OutOfService": "OUT_OF_SERVICE",
    "RollingBack": "ROLLING_BACK",
}

logger = logging.getLogger("localaws.sagemaker")


class Life:
    """An endpoint's containers and its changes."""

    def __init__(
        self, context: Context, record: Record, account: str, region: str, directory: Directory
    ) -> None:
        self.record = record
        self.served = Served(account, region, record["EndpointName"])
        self.closed = threading.Event()
        self._context, self._directory = context, directory
        self._fleet: Fleet | None = None
        self._serving: Serving | None = None
        self._starting: Fleet | None = None

    def begin(self, change: Callable[[], None]) -> None:
        """Make a change in the background; an unexpected error is in the log and makes the endpoint fail."""

        def run() -> None:
            from ministack.core.responses import request_scope

            with request_scope(self.served.account, self.served.region):
                try:
                    change()
                except Exception:
                    if not self.closed.is_set():
                        logger.exception("endpoint %s", self.served.name)
                        self._settle("Failed", reason=INTERNAL)

        threading.Thread(target=run, name=f"endpoint-{self.served.name}", daemon=True).start()

    def create(self) -> None:
        """Start all that the record's deployment says, for a new endpoint or after a restart of the server."""
        self.announce()
        try:
            self._replace(self.record["_deployment"])
        except NotServing as error:
            self._directory.remove(self.served)
            self._settle("Failed", reason=error.reason)
            return
        self._directory.add(self.served)
        self._settle("InService", reason=self.record.get("_interrupted", ""))

    def update(self, target: Record, keep_seconds: float) -> None:
        """Start another deployment beside the one that serves, switch, and end the old one when it is idle.

        keep_seconds: how long the old one is kept after the switch. What does not become healthy changes nothing.
        """
        self.announce(events.DEPLOYMENT)
        before, serving = self._fleet, self._serving
        try:
            self._replace(target)
        except NotServing as error:
            self._settle("InService", reason=error.reason)
            return
        self._write(EndpointConfigName=target["config"], _deployment=target)
        self.announce(events.DEPLOYMENT)
        if before and serving:
            self.closed.wait(keep_seconds)
            before.retire()
            serving.remove()
        self._settle("InService")

    def _replace(self, deployment: Record) -> None:
        serving = Serving(self._context, self.served, deployment)
        fleet = Fleet(self.served.route, [])
        try:
            fleet = self._starting = Fleet(self.served.route, serving.prepare())
            if self.closed.is_set():
                fleet.give_up()
            fleet.start()
        except BaseException:
            serving.remove()
            raise
        finally:
            self._starting = None
        self._fleet, self._serving = fleet, serving
        self.served.route.switch(fleet.variants)

    def resize(self, target: Record) -> None:
        """Other weights at once, other numbers of instances as soon as they are healthy."""
        self.announce()
        assert self._fleet
        weights = {each["name"]: each["weight"] for each in target["variants"]}
        try:
            self._fleet.resize({each["name"]: each["count"] for each in target["variants"]})
        except NotServing as error:
            self._settle("InService", reason=error.reason)
            return
        for variant in self._fleet.variants:
            self.served.route.weigh(variant, weights[variant.name])
        self._write(_deployment=target)
        self._settle("InService")

    def delete(self) -> None:
        """End it when it is idle; nobody finds it any more."""
        self._directory.remove(self.served)
        self.announce()
        if self._fleet:
            self._fleet.retire()
        if self._serving:
            self._serving.remove()
        self._context.store.remove(KIND, self.served.name)
        self._context.changed()

    def close(self) -> None:
        """The server ends: start and replace nothing more; the record stays as it is, for the next server."""
        self.closed.set()
        for fleet in (self._fleet, self._starting):
            if fleet:
                fleet.give_up()

    def is_running(self) -> bool:
        """Whether containers of it write logs."""
        return self._fleet is not None or self._starting is not None

    def usage(self) -> list[tuple[str, list[tuple[str, float, float]]]]:
        """Of each variant, what its instances use: see `Fleet.usage`."""
        fleet = self._fleet
        return [(each.name, fleet.usage(each.name)) for each in fleet.variants] if fleet else []

    def announce(self, detail_type: str = events.ENDPOINT) -> None:
        """Send an event that tells the record as it is."""
        with self._context.store.changing:
            detail = dict(self.record)
        status = detail["EndpointStatus"]
        detail["EndpointStatus"] = EVENT_STATES.get(status, status.upper())
        events.put(detail_type, detail, self.record["_arn"])

    def _settle(self, status: str, reason: str = "") -> None:
        """A change has ended: what Describe says from now on."""
        if self.closed.is_set():
            return
        now = self._context.now()
        deployment, fleet = self.record["_deployment"], self._fleet
        running = {each.name: fleet.size(each.name) for each in fleet.variants} if fleet else {}
        images = self._serving.images() if self._serving else {}
        variants = deployments.summaries(deployment, now, images, running)
        self._write(EndpointStatus=status, ProductionVariants=variants, FailureReason=reason or None)
        self.announce()

    def _write(self, **members: object) -> None:
        with self._context.store.changing:
            self.record |= {"LastModifiedTime": self._context.now(), **members}
            for name in ("PendingDeploymentSummary", "_interrupted"):
                self.record.pop(name, None)
        self._context.changed()

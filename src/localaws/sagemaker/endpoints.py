"""Endpoints: models that answer in real time. The calls; what they set going is in `endpointlife`.

Try it:  aws sagemaker create-endpoint --endpoint-name NAME --endpoint-config-name CONFIG, then
aws sagemaker wait endpoint-in-service --endpoint-name NAME
States and what each of them allows: https://docs.aws.amazon.com/sagemaker/latest/APIReference/
API_DescribeEndpoint.html#sagemaker-DescribeEndpoint-response-EndpointStatus. Knows no containers.
"""

import functools
from collections.abc import Callable

from localaws.sagemaker import arns, deployments, refusals, tagging
from localaws.sagemaker.context import Context
from localaws.sagemaker.endpointlife import INTERNAL, KIND, Life
from localaws.sagemaker.endpointload import Loads
from localaws.sagemaker.endpointmetrics import EndpointMetrics
from localaws.sagemaker.listing import Listing
from localaws.sagemaker.refusals import invalid
from localaws.sagemaker.store import Record
from localaws.sagemaker.variants import Directory

ENDPOINTS = Listing("Endpoints", "EndpointName", "EndpointStatus")
IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


class Area:
    """CreateEndpoint, DescribeEndpoint, ListEndpoints, UpdateEndpoint, UpdateEndpointWeightsAndCapacities,
    DeleteEndpoint."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.directory = Directory()
        self.on_close: list[Callable[[], None]] = []  # what else holds connections to containers
        self.metrics = EndpointMetrics(context.metric_seconds, Loads(self.lives))
        self._lives: dict[str, Life] = {}
        self._recover()
        self.operations = {
            "CreateEndpoint": self.create,
            "DescribeEndpoint": self.describe,
            "ListEndpoints": self.list,
            "UpdateEndpoint": self.update,
            "UpdateEndpointWeightsAndCapacities": self.resize,
            "DeleteEndpoint": self.delete,
        }

    def lives(self) -> list[Life]:
        """What runs, of all accounts and regions."""
        return list(self._lives.values())

    def create(self, request: Record) -> Record:
        """Answers at once; the endpoint is Creating until its containers pass their health checks."""
        from ministack.core.responses import get_account_id, get_region

        name = request["EndpointName"]
        arn = arns.arn(KIND, name)
        rollout = request.get("DeploymentConfig")
        deployments.refuse_rollout(rollout or {})
        if self.context.store.get(KIND, name):
            raise refusals.exists(KIND, arn)
        deployment = deployments.of(self.context, request["EndpointConfigName"])
        now = self.context.now()
        record = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": deployment["config"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            "LastDeploymentConfig": rollout,
            "_arn": arn,
            "_tags": tagging.at_creation(request),
            "_deployment": deployment,
        }
        if not self.context.store.add(KIND, name, record):
            raise refusals.exists(KIND, arn)
        life = self._lives[arn] = Life(self.context, record, get_account_id(), get_region(), self.directory)
        life.begin(life.create)
        return {"EndpointArn": arn}

    def describe(self, request: Record) -> Record:
        """The record as it is."""
        return self.context.find(KIND, request["EndpointName"])

    def list(self, request: Record) -> Record:
        """All of the account and region."""
        return ENDPOINTS.answer(request, self.context.store.of(KIND))

    def update(self, request: Record) -> Record:
        """Another configuration: Updating until its containers serve, and the old ones are gone."""
        record = self.context.find(KIND, request["EndpointName"])
        rollout = request.get("DeploymentConfig")
        if rollout is None and request.get("RetainDeploymentConfig"):
            rollout = record.get("LastDeploymentConfig")
        deployments.refuse_rollout(rollout or {})
        target = deployments.of(self.context, request["EndpointConfigName"])
        target = deployments.retained(target, record["_deployment"], request)
        policy = (rollout or {}).get("BlueGreenUpdatePolicy") or {}
        keep_seconds = float(policy.get("TerminationWaitInSeconds") or 0)
        pending = deployments.pending(target, self.context.now())
        life = self._changing(record, PendingDeploymentSummary=pending, LastDeploymentConfig=rollout)
        life.begin(lambda: life.update(target, keep_seconds))
        return {"EndpointArn": record["_arn"]}

    def resize(self, request: Record) -> Record:
        """Other weights and numbers of instances: Updating until they are there."""
        record = self.context.find(KIND, request["EndpointName"])
        target = deployments.resized(record["_deployment"], request["DesiredWeightsAndCapacities"])
        life = self._changing(record)
        life.begin(lambda: life.resize(target))
        return {"EndpointArn": record["_arn"]}

    def delete(self, request: Record) -> Record:
        """Deleting until its containers have ended; then it is not there."""
        record = self.context.find(KIND, request["EndpointName"])
        life = self._changing(record, "Deleting")
        life.begin(functools.partial(self._forget, life))
        return {}

    def _forget(self, life: Life) -> None:
        life.delete()
        arn = life.record["_arn"]
        if self._lives.get(arn) is life:  # else somebody has made another one of that name meanwhile
            del self._lives[arn]

    def _changing(self, record: Record, status: str = "Updating", **members: object) -> Life:
        """Begin a change. Errors: Refused while there is another one, and for all but a deletion of a failed one."""
        with self.context.store.changing:
            if record["EndpointStatus"] in IN_PROGRESS:
                raise invalid(f'Cannot update in-progress endpoint "{record["_arn"]}".')
            if record["EndpointStatus"] == "Failed" and status != "Deleting":
                raise invalid(f'Cannot update failed endpoint "{record["_arn"]}".')
            record |= {"EndpointStatus": status, "LastModifiedTime": self.context.now(), **members}
            record.pop("FailureReason", None)
        return self._lives[record["_arn"]]

    def _recover(self) -> None:
        """What a former server left: serving nothing yet, and said to be so, until `start`."""
        for account, region, record in list(self.context.store.everywhere(KIND)):
            life = self._lives[record["_arn"]] = Life(self.context, record, account, region, self.directory)
            if record["EndpointStatus"] in ("Failed", "Creating", "Deleting"):
                continue
            if record["EndpointStatus"] == "Updating":
                record["_interrupted"] = INTERNAL  # an update that a server's end stopped has not taken place
            record["EndpointStatus"] = "SystemUpdating"
            record.pop("PendingDeploymentSummary", None)
            for variant in record.get("ProductionVariants") or []:
                variant["CurrentInstanceCount"] = 0
            self.directory.add(life.served)

    def start(self) -> None:
        """Once requests are answered: start the containers of all endpoints that there are."""
        self.metrics.watch()
        for life in self.lives():
            status = life.record["EndpointStatus"]
            if status == "Deleting":
                life.begin(functools.partial(self._forget, life))
            elif status != "Failed":
                life.begin(life.create)

    def close(self) -> None:
        """Before the engine ends the containers: replace none of them."""
        self.metrics.close()
        for life in self.lives():
            life.close()
        for close in self.on_close:
            close()

    def is_busy(self) -> bool:
        """Whether containers of endpoints write logs, or an endpoint changes."""
        return any(life.is_running() for life in self.lives())

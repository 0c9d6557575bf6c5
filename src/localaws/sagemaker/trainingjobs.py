"""The calls that make, show, stop and delete training jobs, and the threads that they run on.

Try it:  aws sagemaker list-training-jobs --status-equals InProgress
AWS's messages are those that the API was seen to give. What a job does is in `training`.
"""

import threading
from typing import Any

from localaws.sagemaker import containers, jobfailures, trainingrecord, trainingrequests
from localaws.sagemaker.context import Context
from localaws.sagemaker.listing import Listing
from localaws.sagemaker.refusals import in_use, invalid
from localaws.sagemaker.store import Record
from localaws.sagemaker.training import SERVER_STOPPED, TrainingRun
from localaws.sagemaker.trainingrecord import ENDED, TrainingRecord
from localaws.sagemaker.trainingrequests import KIND

# AWS cuts the page first and looks at StatusEquals then (API reference, ListTrainingJobs, MaxResults).
JOBS = Listing("TrainingJobSummaries", "TrainingJobName", "TrainingJobStatus", "Ascending", status_late=True)
# Filters for what no job here has.
OF_OTHERS = ("WarmPoolStatusEquals", "TrainingPlanArnEquals")
CLOSING_SECONDS = 10.0


class Area:
    """CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs, StopTrainingJob, DeleteTrainingJob."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.store = context.store
        self.operations = {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": self.describe,
            "ListTrainingJobs": self.list,
            "StopTrainingJob": self.stop,
            "DeleteTrainingJob": self.delete,
        }
        self._runs: dict[str, TrainingRun] = {}
        self._change = threading.Condition()
        self._closed = False

    def create(self, request: Record) -> Record:
        name = request["TrainingJobName"]
        trainingrequests.check(self.context, request)
        record = trainingrequests.record(self.context, request)
        if not self.store.add(KIND, name, record):
            raise trainingrequests.already_exists(record["_arn"])
        self._begin(record)
        return {"TrainingJobArn": record["TrainingJobArn"]}

    def _begin(self, record: Record) -> None:
        from ministack.core.responses import get_account_id, get_region, request_scope

        account, region = get_account_id(), get_region()
        run = TrainingRun(self.context, record)
        with self._change:
            self._runs[record["_arn"]] = run
            if self._closed:
                run.abandon()

        def work() -> None:
            try:
                with request_scope(account, region):
                    run.run()
            finally:
                with self._change:
                    if self._runs.get(record["_arn"]) is run:  # the name may be another job's by now
                        del self._runs[record["_arn"]]
                    self._change.notify_all()

        # In a context of its own: the job is not whoever asked for it.
        threading.Thread(target=work, name=f"training-{record['TrainingJobName']}", daemon=True).start()

    def describe(self, request: Record) -> Record:
        return self._find(request)

    def list(self, request: Record) -> Record:
        jobs = [] if any(request.get(name) for name in OF_OTHERS) else self.store.of(KIND)
        return JOBS.answer(request, jobs)

    def stop(self, request: Record) -> Record:
        record = self._find(request)
        with self._change:
            run = self._runs.get(record["_arn"])
        if run is None or not run.request_stop():
            status = record["TrainingJobStatus"]
            raise invalid(f"The request was rejected because the training job is in status {status}.")
        return {}

    def delete(self, request: Record) -> Record:
        record = self._find(request)
        if record["TrainingJobStatus"] not in ENDED:
            raise in_use(
                f"The training job {record['TrainingJobName']} is in status {record['TrainingJobStatus']}."
            )
        self.store.remove(KIND, request["TrainingJobName"])
        return {}

    def _find(self, request: Record) -> Record:
        record = self.store.get(KIND, request["TrainingJobName"])
        if record is None:
            raise invalid("Requested resource not found.")
        return record

    def start(self) -> None:
        """Say of the jobs that a former server took with it that they failed, and remove what they left."""
        from ministack.core.responses import request_scope

        containers.clean(self.context.engine)
        for account, region, record in self.store.everywhere(KIND):
            if record["TrainingJobStatus"] not in ENDED and record["_arn"] not in self._runs:
                reason = jobfailures.internal(SERVER_STOPPED).reason
                with request_scope(account, region):
                    TrainingRecord(self.context, record).ends(
                        "Failed", trainingrecord.FAILED, {"FailureReason": reason}
                    )

    def close(self) -> None:
        """End every job; returns when their records say so, or after some seconds."""
        with self._change:
            self._closed = True
            runs: list[Any] = list(self._runs.values())
        for run in runs:
            threading.Thread(target=run.abandon, name="abandon", daemon=True).start()
        with self._change:
            self._change.wait_for(lambda: not self._runs, CLOSING_SECONDS)

    def is_busy(self) -> bool:
        """Whether a job runs."""
        return bool(self._runs)

"""Batch transform jobs: the calls; what one does is in `transform`.

Try it:  aws sagemaker create-transform-job …; aws sagemaker wait transform-job-completed-or-stopped …
States and reasons: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTransformJob.html. Knows no
containers.
"""

import logging
import shutil
import threading
from pathlib import Path

from localaws.sagemaker import (
    arns,
    channels,
    deployments,
    events,
    locations,
    models,
    refusals,
    roles,
    tagging,
)
from localaws.sagemaker.context import Context
from localaws.sagemaker.jobfailures import ANSWERS_NOT, JobFailed, internal
from localaws.sagemaker.listing import Listing
from localaws.sagemaker.refusals import invalid, unsupported
from localaws.sagemaker.store import Record
from localaws.sagemaker.transform import Stopped, Transform

KIND = "transform-job"
JOBS = Listing("TransformJobSummaries", "TransformJobName", "TransformJobStatus")
FOLDER = "transform"  # in the engine's own
RUNNING = ("InProgress", "Stopping")
MOST_MB = 100

logger = logging.getLogger("localaws.sagemaker")


class Area:
    """CreateTransformJob, DescribeTransformJob, ListTransformJobs, StopTransformJob."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._running: dict[str, Transform] = {}
        self._closed = False
        self.operations = {
            "CreateTransformJob": self.create,
            "DescribeTransformJob": self.describe,
            "ListTransformJobs": self.list,
            "StopTransformJob": self.stop,
        }

    def create(self, request: Record) -> Record:
        """Answers at once, when model and input are there; the job runs in the background."""
        name = request["TransformJobName"]
        arn = arns.arn(KIND, name)
        if self.context.store.get(KIND, name):
            raise refusals.job_exists(arn)
        refuse(request)
        model = self.context.find(models.KIND, request["ModelName"])
        deployments.refuse_isolation(model)
        role_arn = str(model.get("ExecutionRoleArn") or "")
        roles.check(role_arn)
        self._check_input(request, role_arn)
        now = self.context.now()
        record = {each: value for each, value in request.items() if each != "Tags"} | {
            "TransformJobArn": arn,
            "TransformJobStatus": "InProgress",
            "CreationTime": now,
            "LastModifiedTime": now,
            "_arn": arn,
            "_tags": tagging.at_creation(request),
        }
        if not self.context.store.add(KIND, name, record):
            raise refusals.job_exists(arn)
        self._begin(record, dict(model["_container"]), role_arn)
        return {"TransformJobArn": arn}

    def _check_input(self, request: Record, role_arn: str) -> None:
        """Refuse input that is not there, as AWS does before the job begins."""
        source = request["TransformInput"]["DataSource"]["S3DataSource"]
        place = locations.parse(source["S3Uri"])
        assert place
        client = roles.client(self.context, role_arn)
        try:
            found = client.list_objects_v2(Bucket=place.bucket, Prefix=place.key, MaxKeys=1).get("KeyCount")
        except ANSWERS_NOT:
            found = 0
        if not found:
            raise channels.nothing_there(place, role_arn, client.meta.region_name)

    def _begin(self, record: Record, container: Record, role_arn: str) -> None:
        from ministack.core.responses import get_account_id, get_region, request_scope

        account, region = get_account_id(), get_region()
        folder = self._folder / record["_arn"].rpartition("/")[2]
        job = self._running[record["_arn"]] = Transform(self.context, record, container, role_arn, folder)

        def run() -> None:
            with request_scope(account, region):
                self._announce(record)
                self._run(job)
            shutil.rmtree(folder, ignore_errors=True)

        threading.Thread(target=run, name=f"transform-{record['TransformJobName']}", daemon=True).start()

    @property
    def _folder(self) -> Path:
        return self.context.engine.folder / FOLDER

    def _run(self, job: Transform) -> None:
        record = job.record
        self._write(record, TransformStartTime=self.context.now())
        status, reason = "Completed", None
        try:
            job.run()
        except Stopped:
            status = "Stopped"
        except JobFailed as error:
            status, reason = "Failed", error.reason
        except Exception:
            logger.exception("transform job %s", record["TransformJobName"])
            status, reason = "Failed", internal().reason
        self._running.pop(record["_arn"], None)
        if not self._closed:  # else the next server says what became of it
            self._end(record, status, reason)

    def _end(self, record: Record, status: str, reason: str | None) -> None:
        now = self.context.now()
        self._write(record, TransformJobStatus=status, FailureReason=reason, TransformEndTime=now)
        self._announce(record)

    def _write(self, record: Record, **members: object) -> None:
        with self.context.store.changing:
            record |= {"LastModifiedTime": self.context.now(), **members}
        self.context.changed()

    def _announce(self, record: Record) -> None:
        with self.context.store.changing:
            detail = dict(record)
        events.put(events.TRANSFORM_JOB, detail, record["_arn"])

    def describe(self, request: Record) -> Record:
        """The record as it is."""
        name = request["TransformJobName"]
        return self._find(name, f"Could not find requested job with name: {name}")

    def list(self, request: Record) -> Record:
        """All of the account and region."""
        return JOBS.answer(request, self.context.store.of(KIND))

    def stop(self, request: Record) -> Record:
        """Stopping until its containers have ended; what was written to S3 stays."""
        name = request["TransformJobName"]
        record = self._find(name, f"Could not find job to update with name: {name}")
        with self.context.store.changing:
            status = record["TransformJobStatus"]
            if status not in RUNNING:
                raise invalid(f"The request was rejected because the transform job is in status {status}.")
            record["TransformJobStatus"] = "Stopping"
        job = self._running.get(record["_arn"])
        if job:
            job.stop()
        return {}

    def _find(self, name: str, otherwise: str) -> Record:
        record = self.context.store.get(KIND, name)
        if record is None:
            raise invalid(otherwise)
        return record

    def start(self) -> None:
        """Once requests are answered: say of jobs that a former server took with it that they ended."""
        from ministack.core.responses import request_scope

        shutil.rmtree(self._folder, ignore_errors=True)
        for account, region, record in list(self.context.store.everywhere(KIND)):
            if record["_arn"] in self._running:  # made since requests are answered
                continue
            with request_scope(account, region):
                if record["TransformJobStatus"] == "Stopping":
                    self._end(record, "Stopped", None)
                elif record["TransformJobStatus"] == "InProgress":
                    self._end(record, "Failed", internal().reason)

    def close(self) -> None:
        """Before the engine ends the containers."""
        self._closed = True
        for job in list(self._running.values()):
            job.stop()

    def is_busy(self) -> bool:
        """Whether jobs run."""
        return bool(self._running)


def refuse(request: Record) -> None:
    """Refuse by name what is not here, and what can't be meant."""
    source, output = request["TransformInput"], request["TransformOutput"]
    kind = source["DataSource"]["S3DataSource"]["S3DataType"]
    if kind not in ("S3Prefix", "ManifestFile"):
        raise unsupported(f"S3DataType {kind}")
    if source.get("SplitType", "None") not in ("None", "Line"):
        raise unsupported(f"SplitType {source['SplitType']}")
    if request.get("DataCaptureConfig"):
        raise unsupported("data capture")
    processing = request.get("DataProcessing") or {}
    for member in ("InputFilter", "OutputFilter"):
        if processing.get(member, "$") != "$":
            raise unsupported(f"{member} in a transform job")
    if processing.get("JoinSource", "None") != "None":
        raise unsupported("JoinSource in a transform job")
    for uri in (source["DataSource"]["S3DataSource"]["S3Uri"], output["S3OutputPath"]):
        if locations.parse(uri) is None:
            raise invalid(f"The S3 address {uri} is not s3://BUCKET/PREFIX")
    payload, concurrent = request.get("MaxPayloadInMB") or 0, request.get("MaxConcurrentTransforms") or 1
    if payload * concurrent > MOST_MB:
        raise invalid(
            f"MaxConcurrentTransforms * MaxPayloadInMB must not exceed {MOST_MB} MB, and {concurrent} * {payload} does."
        )

"""The life of one training job, on a thread: input, image, container, artefacts.

Try it:  aws sagemaker create-training-job …; aws sagemaker wait training-job-completed-or-stopped …
What is done in AWS's S3, ECR, Logs and CloudWatch is done as the job's role. The contract of the container:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html. Knows no calls.
"""

import logging
import threading
import time
from pathlib import Path
from typing import Any

from localaws.ecs import instance_types
from localaws.engine import CannotPull, EngineError, Exit, Image
from localaws.engine.removal import remove_tree
from localaws.sagemaker import channels, containers, images, output, roles, trainingrecord
from localaws.sagemaker.containers import Running
from localaws.sagemaker.context import Context
from localaws.sagemaker.jobfailures import (
    INTERNAL,
    JobFailed,
    internal,
    of_algorithm,
    of_client,
    of_exit,
)
from localaws.sagemaker.joblogs import Log
from localaws.sagemaker.jobmetrics import JobMetrics
from localaws.sagemaker.store import Record
from localaws.sagemaker.trainingrecord import TrainingRecord

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
# How long a container has between SIGTERM and SIGKILL (API reference, StopTrainingJob).
STOP_SECONDS = 120.0
CLOSING_SECONDS = 3.0
NOT_STARTED = 127
SERVER_STOPPED = f"{INTERNAL} (The local AWS was stopped.)"
# The last status, its step, further members.
End = tuple[str, tuple[str, str], dict[str, Any]]

logger = logging.getLogger("localaws.sagemaker")


class _Stopped(Exception):
    """The job was told to stop before its container ran."""


class TrainingRun:
    """Takes one job from InProgress to its end."""

    def __init__(self, context: Context, record: Record) -> None:
        self.context = context
        self.record = TrainingRecord(context, record)
        self._job = record
        self._role_arn: str = record["RoleArn"]
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._closing = False
        self._too_long = False
        self._base: Path | None = None
        self._running: Running | None = None

    def request_stop(self) -> bool:
        """Have the job end with what it has; False if it has ended or is ending already."""
        if not self.record.stopping():
            return False
        self._stop.set()
        self._wake.set()
        return True

    def abandon(self) -> None:
        """The server ends: the job fails, and nothing of it is left; returns when its container has ended."""
        self._closing = True
        self._stop.set()
        self._wake.set()
        if self._running:  # it may be stopping already, with more time than there is now
            self._running.container.stop(CLOSING_SECONDS)

    def run(self) -> None:
        """Everything, in the account and region of the job; who sees its last status finds nothing else of it."""
        try:
            end = self._run()
        except _Stopped:
            end = self._stopped()
        except JobFailed as failed:
            end = _failed(failed)
        except Exception as error:  # a bug of ours must end the job, not leave it InProgress for ever
            logger.exception("training job %s", self._job["TrainingJobName"])
            end = _failed(internal(f"{INTERNAL} ({type(error).__name__}: {error})"))
        finally:
            if self._base:
                containers.remove_base(self.context.engine, self._base)
        self.record.ends(*end)

    def _run(self) -> End:
        self.record.step(trainingrecord.PREPARING)
        if not roles.trusted(self._role_arn):
            raise of_client(f"SageMaker was unable to assume the role '{self._role_arn}'")
        self._go_on()
        self.record.starts()
        began = time.monotonic()
        base = self._download()
        self._go_on()
        self.record.step(trainingrecord.IMAGE)
        image = self._pull()
        self._go_on()
        log, metrics = self._log(), JobMetrics(self._job, self._role_arn)
        running = self._running = self._start(image, base, log)
        try:
            ended = self._attend(running, log, metrics, began)
            if self._closing:
                raise internal(SERVER_STOPPED)
            return self._finish(running, ended, metrics)
        finally:
            running.container.stop(0)
            running.remove()

    def _go_on(self) -> None:
        """Between two steps: not if the job is to stop."""
        if self._closing:
            raise internal(SERVER_STOPPED)
        if self._stop.is_set():
            raise _Stopped

    def _download(self) -> Path:
        base = containers.new_base(self.context.engine, "input/config", "input/data", "model", "output/data")
        self._base = base
        channels.write_configuration(base / "input" / "config", self._job)
        client = roles.client(self.context, self._role_arn)
        try:
            channels.download(client, self._job, base / "input" / "data", self._stop)
        except OSError as error:
            raise of_client(f"Data download failed:{error.strerror}") from error
        return base

    def _pull(self) -> Image:
        address = self._job["AlgorithmSpecification"]["TrainingImage"]
        try:
            return images.pull(self.context, address, self._role_arn, self._stop)
        except CannotPull as error:
            self._go_on()  # a build that was given up is no failure of the image
            raise of_client(f"{images.CANNOT_PULL} {error.message}") from error

    def _log(self) -> Log:
        """AWS names the stream by the job, the host and the second."""
        stream = f"{self._job['TrainingJobName']}/{channels.HOST}-{int(time.time())}"
        log = Log(self._role_arn, LOG_GROUP, stream)
        log.open()
        return log

    def _start(self, image: Image, base: Path, log: Log) -> Running:
        specification, resources = self._job["AlgorithmSpecification"], self._job["ResourceConfig"]
        entry_point = specification.get("ContainerEntrypoint") or []
        # Without words of the request's own the image is run as `docker run IMAGE train`.
        arguments = specification.get("ContainerArguments") or ([] if entry_point else ["train"])
        self.record.step(trainingrecord.TRAINING)
        try:
            return containers.start(
                self.context,
                name=f"{channels.HOST}-{self._job['TrainingJobName'].lower()}",
                image=image,
                role_arn=self._role_arn,
                base=base,
                arguments=arguments,
                entry_point=entry_point,
                environment={
                    "TRAINING_JOB_NAME": self._job["TrainingJobName"],
                    "TRAINING_JOB_ARN": self._job["TrainingJobArn"],
                    "CURRENT_HOST": channels.HOST,
                    **(self._job.get("Environment") or {}),
                },
                memory_mib=containers.memory_mib(resources["InstanceType"]),
                gpu_ids=instance_types.gpus_here()[: containers.gpus(resources["InstanceType"])],
                isolated=bool(self._job["EnableNetworkIsolation"]),
                stop_timeout_seconds=STOP_SECONDS,
                labels={"com.amazonaws.sagemaker.training-job": self._job["TrainingJobName"]},
            )
        except EngineError as error:
            if self._closing:
                raise internal(SERVER_STOPPED) from error
            log.write([[error.message]])
            raise of_algorithm(error.message, NOT_STARTED) from error

    def _attend(self, running: Running, log: Log, metrics: JobMetrics, began: float) -> Exit:
        """Send lines on until the container ends, and end it when the job is stopped or has taken too long."""
        from ministack.core.responses import get_account_id, get_region, request_scope

        account, region = get_account_id(), get_region()

        def follow() -> None:
            try:
                with request_scope(account, region):
                    log.write(metrics.watched(running.container.log_batches()))
            finally:
                running.container.wait()
                self._wake.set()

        follower = threading.Thread(target=follow, name=f"log-{self._job['TrainingJobName']}", daemon=True)
        follower.start()
        allowed = self._job["StoppingCondition"]["MaxRuntimeInSeconds"] - (time.monotonic() - began)
        if not self._wake.wait(max(allowed, 0)):
            self._too_long = self.record.stopping()
        if follower.is_alive():
            running.container.stop(CLOSING_SECONDS if self._closing else STOP_SECONDS)
        follower.join()
        ended = running.container.wait()
        assert ended
        return ended

    def _finish(self, running: Running, ended: Exit, metrics: JobMetrics) -> End:
        """Judge the exit and put the artefacts to S3."""
        final = {"FinalMetricDataList": list(metrics.final.values())} if metrics.final else {}
        self.record.note(final)
        left = self._left(running)
        if ended.code and not self._is_stopped():
            raise of_exit(output.failure(left), ended, built_in=bool(self._job["_algorithm"]))
        self.record.step(trainingrecord.UPLOADING)
        client, scratch = roles.client(self.context, self._role_arn), left.parent
        output.upload(client, self._job, output.MODEL, self._bring_back(running, "model"), scratch)
        output.upload(client, self._job, output.OUTPUT, left / "data", scratch)
        return self._stopped() if self._is_stopped() else ("Completed", trainingrecord.COMPLETED, {})

    def _is_stopped(self) -> bool:
        return self._stop.is_set() or self._too_long

    def _stopped(self) -> End:
        return "Stopped", trainingrecord.TOO_LONG if self._too_long else trainingrecord.STOPPED, {}

    def _left(self, running: Running) -> Path:
        left = self._bring_back(running, "output")
        remove_tree(left.parent / "input")  # nobody reads it any more
        return left

    def _bring_back(self, running: Running, name: str) -> Path:
        try:
            return running.bring_back(name)
        except EngineError as error:
            raise internal(f"{INTERNAL} ({error.message})") from error


def _failed(failed: JobFailed) -> End:
    return "Failed", trainingrecord.FAILED, {"FailureReason": failed.reason}

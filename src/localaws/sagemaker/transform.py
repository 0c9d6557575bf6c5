"""One batch transform: its model's containers, each of its input's objects through them, what they answered to S3.

Try it:  aws sagemaker create-transform-job …; aws logs tail /aws/sagemaker/TransformJobs --follow
How containers are asked: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html. Objects are
shared out among the instances; an object whose transformation fails has no output, and the others have theirs. Runs
on a thread, in the request scope of the job's account and region. Knows no calls.
"""

import contextvars
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from localaws.engine import EngineError
from localaws.sagemaker import joblogs, locations, roles
from localaws.sagemaker.context import Context
from localaws.sagemaker.hosting import (
    STARTING_EVERY_SECONDS,
    STARTUP_SECONDS,
    STOP_SECONDS,
    NotServing,
    new_instance,
    pings,
)
from localaws.sagemaker.jobfailures import ANSWERS_NOT, JobFailed, of_client, said
from localaws.sagemaker.locations import Object
from localaws.sagemaker.modelservers import Model, ModelServer
from localaws.sagemaker.store import Record
from localaws.sagemaker.transformasking import MOST_PAYLOAD_MB, Asking, Bad, How, settings
from localaws.sagemaker.transformrecords import MIB, TooLarge, assembled, opened, payloads, records
from localaws.sagemaker.variants import Address

GROUP = "/aws/sagemaker/TransformJobs"
SEE_LOGS = "See job logs for more information"


class Stopped(Exception):
    """Somebody asked for the end."""


class Transform:
    """A job's work; `stop` ends it early."""

    def __init__(
        self, context: Context, record: Record, container: Record, role_arn: str, folder: Path
    ) -> None:
        self.record = record
        self._context, self._role_arn, self._folder = context, role_arn, folder
        resources = record["TransformResources"]
        self._model = Model(
            context, record["TransformJobName"], container, role_arn, resources["InstanceType"]
        )
        self._stopped = threading.Event()
        self._failure: JobFailed | None = None  # the first; FailureReason tells of it alone
        self._servers: list[ModelServer] = []

    def stop(self) -> None:
        """End soon."""
        self._stopped.set()
        threading.Thread(target=self._end_servers, name="transform-stop", daemon=True).start()

    def run(self) -> None:
        """Return when all objects are transformed.

        Errors: JobFailed, Stopped.
        """
        try:
            self._model.prepare()
            self._start_all()
            self._transform_all()
        except NotServing as error:
            raise of_client(error.reason) from error
        except EngineError as error:
            raise of_client(error.message) from error
        finally:
            self._end_all()
        if self._stopped.is_set():
            raise Stopped
        if self._failure:
            raise self._failure

    def _start_all(self) -> None:
        name = self.record["TransformJobName"]
        for number in range(int(self.record["TransformResources"]["InstanceCount"])):
            stream = f"{name}/{new_instance().id}-{int(time.time())}"
            if not number:
                self._log = joblogs.Log(self._role_arn, GROUP, f"{stream}/data-log")
                self._log.open()
            self._servers.append(self._model.launch(GROUP, stream, self._environment()))
        for server in self._servers:
            self._wait_until_healthy(server)

    def _environment(self) -> dict[str, str]:
        """What a container is told of the job (your-algorithms-batch-code)."""
        strategy = self.record.get("BatchStrategy") or "MultiRecord"
        given = {
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD" if strategy == "SingleRecord" else "MULTI_RECORD",
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(self.record.get("MaxConcurrentTransforms") or 1),
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(self.record.get("MaxPayloadInMB", MOST_PAYLOAD_MB)),
        }
        return given | (self.record.get("Environment") or {})

    def _wait_until_healthy(self, server: ModelServer) -> None:
        end = time.monotonic() + STARTUP_SECONDS
        while not pings(server.address):
            ended = server.wait(STARTING_EVERY_SECONDS)
            if self._stopped.is_set():
                raise Stopped
            if ended is not None or time.monotonic() > end:
                self._say("", "The container did not pass the ping health check")
                raise JobFailed("AlgorithmError", SEE_LOGS)

    def _transform_all(self) -> None:
        client = roles.client(self._context, self._role_arn)
        how = settings(self.record, self._servers[0].address)
        self._say("", how.described())
        waiting: SimpleQueue[Object] = SimpleQueue()
        try:
            for each in inputs(client, self.record):
                waiting.put(each)
        except ANSWERS_NOT as error:
            raise of_client(f"Data download failed:{said(error)}") from error

        def work(address: Address) -> None:
            while not self._stopped.is_set():
                try:
                    self._transform(client, waiting.get_nowait(), address, how)
                except Empty:
                    return

        with ThreadPoolExecutor(len(self._servers)) as pool:
            jobs = [
                pool.submit(contextvars.copy_context().run, work, server.address) for server in self._servers
            ]
        for job in jobs:
            job.result()

    def _transform(self, client: Any, each: Object, address: Address, how: How) -> None:
        """One object; what is wrong with it is in the log, and counted."""
        name = f"{each.place.bucket}/{each.place.key}"
        given = self._folder / "input" / str(threading.get_ident())
        made = self._folder / "output" / str(threading.get_ident())
        for path in (given, made):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            locations.download(client, [Object(each.place, given.name, 0)], given.parent)
            self._ask_all(given, made, address, how)
            if not self._stopped.is_set():
                place = locations.parse(self.record["TransformOutput"]["S3OutputPath"])
                assert place
                locations.upload(client, made, place.below(each.name + ".out"))
        except Bad as error:
            self._fail(error.kind)
            self._say(name, error.said, "", "Message:", error.text)
        except (TooLarge, OSError, EOFError) as error:
            self._fail("ClientError")
            self._say(name, f"ClientError: {error}")
        except JobFailed as error:
            self._failure = self._failure or error
            self._say(name, error.reason)
        except ANSWERS_NOT as error:
            self._fail("ClientError")
            self._say(name, f"ClientError: {said(error)}")

    def _fail(self, kind: str) -> None:
        self._failure = self._failure or JobFailed(kind, SEE_LOGS)

    def _ask_all(self, given: Path, made: Path, address: Address, how: How) -> None:
        source, output = self.record["TransformInput"], self.record["TransformOutput"]
        with opened(given, source.get("CompressionType") or "None") as file, made.open("wb") as out:
            found = records(file, source.get("SplitType") or "None")
            for answer in self._answers(payloads(found, how.strategy, how.payload_mb * MIB), address, how):
                out.write(assembled(answer, output.get("AssembleWith") or "None"))

    def _answers(self, given: Iterator[bytes], address: Address, how: How) -> Iterator[bytes]:
        """Answers in the payloads' order, some payloads being under way at once."""
        asking = Asking(address, how, self._stopped)
        under_way: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(how.concurrent) as pool:
            try:
                for payload in given:
                    under_way.append(pool.submit(asking, payload))
                    if len(under_way) > 2 * how.concurrent:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                for each in under_way:
                    each.cancel()

    def _say(self, name: str, *lines: str) -> None:
        """Lines in the data log, in the form that AWS gives them."""
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
        start = f"{now}:[sagemaker logs]: " + (f"{name}: " if name else "")
        self._log.write([[start + line for each in lines for line in (each.splitlines() or [""])]])

    def _end_all(self) -> None:
        self._end_servers()
        self._model.remove()

    def _end_servers(self) -> None:
        for server in list(self._servers):
            server.stop(STOP_SECONDS)


def inputs(client: Any, record: Record) -> Iterator[Object]:
    """The objects of a job's input. Errors: botocore's, JobFailed."""
    source = record["TransformInput"]["DataSource"]["S3DataSource"]
    place = locations.parse(source["S3Uri"])
    assert place
    if source["S3DataType"] == "ManifestFile":
        return locations.of_manifest(client, place)
    return locations.objects(client, place)

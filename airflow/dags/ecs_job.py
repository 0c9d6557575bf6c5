"""An ECS task as an Airflow task: one job of the course, on instances or on Fargate, its log in Airflow's log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.exceptions import EcsOperatorError
from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from airflow.providers.amazon.aws.utils.task_log_fetcher import AwsTaskLogFetcher
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from botocore.exceptions import ClientError

from workshop.airflow import dag_events

# The container's own end: to run it again would cost the same and end the same. All else may be tried again.
NO_SECOND_TRY = ("EssentialContainerExited", "UserInitiated")
POLL_SECONDS = {"local": 1, "aws": 6}


class Log(AwsTaskLogFetcher):
    """The container's lines go into Airflow's log, and to whoever started the run with `workshop dag`."""

    def __init__(self, *, task_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.task_name = task_name

    def event_to_str(self, event: dict[str, str]) -> str:
        dag_events.tell("line", task=self.task_name, text=event["message"])
        return super().event_to_str(event)


class EcsJob(EcsRunTaskOperator):
    """Run a job of the plan as an ECS task, unless this run has done it before.

    job: train or evaluate. plan: what the DAG's first task returned (templated).
    The task found by its startedBy is attached to again, so an Airflow that was killed starts no second one.
    """

    template_fields: Sequence[str] = (*EcsRunTaskOperator.template_fields, "plan")

    def __init__(self, *, job: str, plan: Any, **kwargs: Any) -> None:
        # Where it runs is known once the plan is: execute() fills it in.
        super().__init__(
            aws_conn_id=None,  # boto3's usual chain, as everywhere in the course
            task_definition="",
            cluster="",
            overrides={},
            reattach=True,
            do_xcom_push=False,
            **kwargs,
        )
        self.job = job
        self.plan = plan
        self.was_stopped = False

    def execute(self, context: Any) -> None:
        from workshop.aws import failures, sentiment_flow, worker
        from workshop.errors import WorkshopError

        aws = worker.connect()
        self._fill_in(aws.target)
        try:
            before = sentiment_flow.done_before(self.job, self.plan, aws)
            told = f"not run again: {before}" if before else f"{self.task_definition} on {self.launch_type}"
            self.log.info(told)
            dag_events.tell("line", task=self.task_id, text=told)
        except (WorkshopError, dag_events.Abandoned) as error:
            raise AirflowFailException(str(error)) from error
        if before:
            return
        try:
            super().execute(context)
        except (
            KeyboardInterrupt,
            SystemExit,
        ):  # `airflow dags test` in a terminal: nobody calls on_kill there
            self.on_kill()
            raise
        except ClientError as error:
            told = str(failures.as_aws_error(error, f"run {self.task_definition} on ECS"))
            if failures.is_denied(error):  # and would be the second time
                raise AirflowFailException(told) from error
            raise AirflowException(told) from error

    def on_kill(self) -> None:
        self.was_stopped = True
        super().on_kill()

    def _fill_in(self, target: str) -> None:
        place, container = self.plan["place"], self.plan["container"]
        self.cluster = self.plan["cluster"]
        self.task_definition = place["family"]
        self.launch_type = place["launch_type"]
        self.capacity_provider_strategy = place["strategy"]
        self.network_configuration = place["network"]
        # Named, or the operator waits 10 to 40 s to find out.
        self.container_name = container["name"]
        self.awslogs_group = container["log_group"]
        self.awslogs_stream_prefix = container["log_prefix"]
        self.awslogs_fetch_interval = timedelta(seconds=POLL_SECONDS[target])
        self.waiter_delay = POLL_SECONDS[target]
        self.overrides = {
            "containerOverrides": [{"name": container["name"], "command": self.plan["commands"][self.job]}]
        }

    def _start_task(self) -> None:
        try:
            super()._start_task()
        except EcsOperatorError as error:  # no room just now: another try may find some
            reasons = ", ".join(sorted({each.get("reason", "no reason given") for each in error.failures}))
            told = f"error: ECS could not place {self.task_definition} in {self.cluster}: {reasons}"
            raise AirflowException(f"{told}\n  fix: workshop status shows the instances") from error
        dag_events.tell("task", task=self.task_id, arn=self.arn, cluster=self.cluster)

    def _get_task_log_fetcher(self) -> AwsTaskLogFetcher:
        return Log(
            task_name=self.task_id,
            aws_conn_id=self.aws_conn_id,
            region_name=self.resolve_awslogs_region(),
            log_group=self.awslogs_group,
            log_stream_name=self._get_logs_stream_name(),
            fetch_interval=self.awslogs_fetch_interval,
            logger=self.log,
        )

    def _check_success_task(self) -> None:
        """Say in one sentence how the task ended, if it did not end well."""
        from workshop.aws import task_failures, task_records

        [entry] = self.client.describe_tasks(cluster=self.cluster, tasks=[self.arn])["tasks"]
        task = task_records.read(entry, self.cluster)
        self.log.info("ECS task %s: %s, exit code %s", task.id, task.stop_code, task.exit_code)
        if task.exit_code == 0 and task.stop_code in ("", "EssentialContainerExited"):
            return
        lines = self.task_log_fetcher.get_last_log_messages(20) if self.task_log_fetcher else []
        told = str(task_failures.ended(task, lines))
        if self.was_stopped or task.stop_code in NO_SECOND_TRY:
            raise AirflowFailException(told)
        raise AirflowException(told)

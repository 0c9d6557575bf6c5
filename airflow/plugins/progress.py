"""Hand on what becomes of each task to whoever started the run with `workshop dag`."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

from workshop.airflow import dag_events


@hookimpl
def on_task_instance_running(previous_state: Any, task_instance: Any) -> None:
    dag_events.tell("begin", task=task_instance.task_id, attempt=task_instance.try_number)


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    dag_events.tell("end", task=task_instance.task_id, state="success")


@hookimpl
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    dag_events.tell("end", task=task_instance.task_id, state="skipped")


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:
    kind = "" if error is None or isinstance(error, str) else type(error).__name__
    dag_events.tell("end", task=task_instance.task_id, state="failed", kind=kind, reason=str(error or ""))


class WorkshopProgress(AirflowPlugin):
    name = "workshop_progress"
    listeners: ClassVar = [sys.modules[__name__]]

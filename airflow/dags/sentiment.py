"""Train the sentiment network on ECS, and put it into service if its own figures are good enough.

    plan -> validate_data -> train (ECS) -> evaluate (ECS) -> gate -> publish -> roll_service

By hand: `workshop dag sentiment -p num_epochs=3`, or Trigger in the web UI (`workshop airflow`). What the tasks do is
in workshop.aws.sentiment_flow; here is their order, and how each is tried again. Importing this file calls nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from ecs_job import EcsJob

from workshop.airflow import dag_events
from workshop.airflow.dag_parameters import PARAMETERS

# A call of AWS may fail once; what is wrong with the data or the figures is wrong the second time too.
TRY_AGAIN = {"retries": 2, "retry_delay": timedelta(seconds=10), "retry_exponential_backoff": True}
TRY_AGAIN |= {"max_retry_delay": timedelta(minutes=2)}
QUICK = {**TRY_AGAIN, "execution_timeout": timedelta(minutes=5)}
JOB = {**TRY_AGAIN, "retries": 1, "execution_timeout": timedelta(hours=2)}


@dag(
    dag_id="sentiment",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,  # two runs that publish at once would compare themselves with the same model
    is_paused_upon_creation=False,
    params={name: Param(**schema) for name, schema in PARAMETERS["sentiment"].items()},
    tags=["workshop"],
    doc_md=__doc__,
)
def sentiment() -> None:
    made = plan()
    checked = validate_data(made)
    train = EcsJob(task_id="train", job="train", plan=made, **JOB)
    evaluate = EcsJob(task_id="evaluate", job="evaluate", plan=made, **JOB)
    judged = gate(made)
    done = publish(made)
    checked >> train >> evaluate >> judged >> done >> roll_service(made, done)


@task(**QUICK)
def plan() -> dict[str, Any]:
    """Read the stacks' outputs: where this run reads, trains and writes."""
    from workshop.aws import sentiment_flow

    context = get_current_context()
    return ended(sentiment_flow.plan, dict(context["params"]), context["run_id"])


@task(**QUICK)
def validate_data(made: dict[str, Any]) -> dict[str, Any]:
    """Refuse data that training would fail on, or learn nothing from."""
    from workshop.aws import text_data

    found = ended(text_data.read, made["data"])
    say(str(found))
    return found.as_dict()


@task(execution_timeout=timedelta(minutes=5))
def gate(made: dict[str, Any]) -> str:
    """Red if this run's figures are missing or not good enough: a skip would look like success."""
    from workshop.aws import sentiment_flow

    return say(ended(sentiment_flow.judge, made))


@task(**QUICK)
def publish(made: dict[str, Any]) -> dict[str, Any]:
    """Copy the artefact below its version and point to it."""
    from workshop.aws import sentiment_flow

    done = ended(sentiment_flow.publish, made)
    version = done.pointer.version
    if done.changed:
        dag_events.tell("published", task="publish", version=version)
    say(f"version {version} {'is published' if done.changed else 'had been published before'}")
    return {"version": version, "changed": done.changed}


@task(**{**QUICK, "execution_timeout": timedelta(minutes=20)})
def roll_service(made: dict[str, Any], done: dict[str, Any]) -> None:
    """Start the service anew and wait until it is stable; skipped where there is none, or nothing new."""
    from workshop.aws import sentiment_flow

    if not done["changed"]:
        skip(f"version {done['version']} had been published before: the service stays as it is")
    name = ended(sentiment_flow.roll, made, say)
    if not name:
        skip("there is no service yet: stack sentiment-service makes it")
    say(f"service {name} is stable with version {done['version']}")


def ended(call: Any, *arguments: Any) -> Any:
    """Call with AWS as its last argument; an error that has a remedy is one that no second try mends."""
    from workshop.aws import worker
    from workshop.errors import TargetError, WorkshopError

    say("", quietly=True)
    try:
        return call(*arguments, worker.connect())
    except TargetError:  # AWS did not answer
        raise
    except WorkshopError as error:
        raise AirflowFailException(str(error)) from error


def say(text: str, quietly: bool = False) -> str:
    """Put a line into the task's log and before whoever follows the run; raises if they are gone."""
    name = get_current_context()["ti"].task_id
    if not quietly:
        print(text)
    try:
        dag_events.tell("line", task=name, text=text)
    except dag_events.Abandoned as error:
        raise AirflowFailException(str(error)) from error
    return text


def skip(why: str) -> None:
    say(why)
    raise AirflowSkipException(why)


sentiment()

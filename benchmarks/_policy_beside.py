"""What the labs do only on other machines, in another way, or when something goes wrong: done here, cheaply.

Try it:  python -m benchmarks policy_mutations
Each step is one that the course offers and no lab's main road takes; what it needs is there after the labs.
Lab 8's are in `_policy_sagemaker`. Knows the course's kit; nothing of policies.
"""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import _policy_sagemaker
from benchmarks._policy_replay import Window

SHELL_SECONDS = 90
LOOK = (
    "python -c \"import os, boto3; s3 = boto3.client('s3'); "
    "pictures = s3.list_objects_v2(Bucket='{inputs}'); "
    "results = s3.list_objects_v2(Bucket='{outputs}', Prefix='runs/'); "
    "[s3.get_object(Bucket=page['Name'], Key=page['Contents'][0]['Key']) for page in (pictures, results)]\""
)
# What the deploy workflow does with its role, done here by the learner: nobody has that role but a job on GitHub.
RELEASE = "a release by the workflow"
FAMILY = "sentiment"
OTHER_PORT = "8081"


def beside_the_labs(aws: Any) -> Iterator[Window]:
    """Every step, one after the other; the stacks and the service must still be there."""
    for name, step in (
        *_policy_sagemaker.STEPS,
        ("a shell in a task", _shells),
        ("a DAG that rolls the service", _rolled_by_airflow),
        ("a job on Fargate, stopped", _fargate),
        ("another port", _another_port),
        ("metrics, as by hand", _metrics),
        ("an old release", _old_release),
        (RELEASE, _release),
        ("a cluster of GPUs on Spot", _gpus_on_spot),
        ("a refused deployment", _refused),
        ("an upload that broke off", _unfinished_upload),
    ):
        yield timed(name, functools.partial(step, aws))


def clean(aws: Any) -> Window:
    """The clean-up as `workshop clean` does it: one lab after the other, the last first, and then all."""
    from workshop.aws import cleaning

    def all_of_it() -> None:
        for lab in sorted(cleaning.MADE_BY_LAB, reverse=True):
            cleaning.clean(lab, aws=aws)
        cleaned = cleaning.clean(aws=aws, all=True)
        assert cleaned.is_clean, cleaned.left

    return timed("the clean-up", all_of_it)


def timed(name: str, step: Callable[[], None]) -> Window:
    """Do it, and say when it was."""
    began = time.time()
    step()
    return name, began, time.time()


def _shells(aws: Any) -> None:
    """In a job, which runs a server here so that it stays; and in Jupyter, to look at pictures and results."""
    from workshop.aws import stacks, task_shell

    storage = stacks.outputs("storage", aws)
    with _running(aws, "jobs-tensorflow", command=["secondary"], shell=True) as task:
        task_shell.output_of(task, "pwd", aws=aws)
    with _running(aws, "jupyter", command=["secondary"], shell=True) as task:
        look = LOOK.format(inputs=storage["InputBucket"], outputs=storage["OutputBucket"])
        task_shell.output_of(task, look, aws=aws)


@contextmanager
def _running(aws: Any, family: str, **options: Any) -> Iterator[Any]:
    from workshop.aws import tasks

    task = tasks.run(family, aws=aws, **options)
    try:
        yield tasks.wait(task, "RUNNING", timeout_seconds=SHELL_SECONDS, aws=aws)
    finally:
        tasks.stop(task, "its shell was seen", aws)


def _rolled_by_airflow(aws: Any) -> None:
    """Lab 5 has no service yet, so its DAG skips this; here the same function is called, with the same role."""
    from workshop.aws import sentiment_flow

    with _airflow(aws) as (plan, worker):
        assert sentiment_flow.roll(plan, lambda line: None, worker)


def _fargate(aws: Any) -> None:
    """As the DAG's operator asks for it with launch_type=FARGATE, ended as by Ctrl-C."""
    with _airflow(aws) as (plan, worker):
        ecs, place = worker.client("ecs"), plan["place"]
        started = ecs.run_task(
            cluster=plan["cluster"],
            taskDefinition=place["family"],
            launchType=place["launch_type"],
            networkConfiguration=place["network"],
        )
        [task] = started["tasks"]
        ecs.stop_task(cluster=plan["cluster"], task=task["taskArn"], reason="its DAG run was ended")


@contextmanager
def _airflow(aws: Any) -> Iterator[tuple[Any, Any]]:
    """The DAG's plan, and an AWS that has the rights of AirflowRole alone, as `workshop airflow` starts it."""
    from workshop import dags
    from workshop.airflow import dag_parameters
    from workshop.aws import dag_start, sentiment_flow, worker
    from workshop.settings import in_environment

    started = dag_start.make_ready_for_all(dags.ROLE, aws)
    given = dag_parameters.checked("sentiment", {"launch_type": "FARGATE"})
    with in_environment({**aws.settings.environment(), **started.credentials}):
        connected = worker.connect()
        yield sentiment_flow.plan(given, "beside-the-labs", connected), connected


def _another_port(aws: Any) -> None:
    """A parameter of the stack `sentiment`: where 8080 is taken, and 443 with a certificate."""
    from workshop.aws import stacks

    stacks.deploy("sentiment", aws=aws, ListenerPort=OTHER_PORT)


def _metrics(aws: Any) -> None:
    """As docs/by-hand.md looks at what the load balancer has counted."""
    from workshop.aws import stacks

    balancer = {"Name": "LoadBalancer", "Value": stacks.output("LoadBalancerFullName", aws)}
    metric = {"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCount", "Dimensions": [balancer]}
    query = {"Id": "requests", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    now = datetime.now(UTC)
    aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query], StartTime=now - timedelta(minutes=10), EndTime=now
    )


def _old_release(aws: Any) -> None:
    """Taken away, so that the next one has a revision to register and an image to push, as if both were new."""
    from workshop.aws import cleaning, stacks

    cleaning.delete_images(stacks.output("ServingRepository", aws), aws)
    ecs = aws.client("ecs")
    for arn in ecs.list_task_definitions(familyPrefix=FAMILY)["taskDefinitionArns"]:
        ecs.deregister_task_definition(taskDefinition=arn)


def _release(aws: Any) -> None:
    """The steps of .github/workflows/deploy.yml that call AWS."""
    from workshop import ask
    from workshop.aws import images, services

    images.build("serving", aws=aws)
    images.push("serving", aws=aws)
    assert services.release(aws=aws).is_stable
    assert ask.predict(services.url(aws=aws), "what a lovely morning")["version"]


def _gpus_on_spot(aws: Any) -> None:
    from workshop.aws import stacks

    stacks.deploy("cluster", aws=aws, Compute="gpu", UseSpot="yes", DesiredInstances="0")


def _refused(aws: Any) -> None:
    from workshop.aws import stack_events, stacks

    stack_events.refused_early(aws, StackName=stacks.stack_name("network", aws))


def _unfinished_upload(aws: Any) -> None:
    from workshop.aws import stacks

    bucket = stacks.outputs("storage", aws)["OutputBucket"]
    aws.client("s3").create_multipart_upload(Bucket=bucket, Key="runs/broke-off")

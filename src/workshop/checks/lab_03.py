"""Lab 3: the recipes are registered, a job ran, Jupyter answers whom it should, two tasks have talked.

Try it:  workshop check 3
ECS forgets stopped tasks after an hour; what must still be seen then has to be run again.
"""

from typing import Any

import requests

from workshop.aws import session, task_definitions, tasks
from workshop.checkpoints import Check, Failed
from workshop.checks import course_tasks

FAMILIES = ("jobs-mxnet", "jobs-tensorflow", "jupyter", "secondary")
PORTS = {"jupyter": 8888, "secondary": 8080}
JUPYTER_TIMEOUT_SECONDS = 10
BY_HAND = "UserInitiated"


def recipes_are_registered() -> str:
    """The learner has registered all four task definitions."""
    revisions = []
    for family in FAMILIES:
        definition = _definition(family)
        if definition is None or definition["status"] != "ACTIVE":
            raise Failed(
                f"there is no active task definition '{family}'",
                "ECS starts tasks from registered recipes alone; the files in task-definitions/ are their "
                "input.",
                f"tasks.register('{family}')",
            )
        revisions.append(f"{family}:{definition['revision']}")
    return f"task definitions are active: {', '.join(revisions)}"


def recipes_are_whole() -> str:
    """Each has CPU, memory, a log group; those that serve map their port."""
    for family in FAMILIES:
        container = (_definition(family) or {"containerDefinitions": [{}]})["containerDefinitions"][0]
        ports = [each["containerPort"] for each in container.get("portMappings", [])]
        lacks = [name for name in ("cpu", "memory") if not container.get(name)]
        if not container.get("logConfiguration", {}).get("options", {}).get("awslogs-group"):
            lacks.append("a log group")
        if family in PORTS and PORTS[family] not in ports:
            lacks.append(f"port {PORTS[family]}")
        if lacks:
            raise Failed(
                f"the latest revision of '{family}' lacks {', '.join(lacks)}",
                "Without limits a task takes its neighbours' memory; without a log group nobody sees why "
                "it failed.",
                f"git checkout task-definitions/{family}.json, then tasks.register('{family}')",
            )
    return "each has CPU, memory and a log group, and those that serve a port"


def job_ran_to_its_end() -> str:
    """A task of the family jobs-mxnet stopped with exit code 0."""
    found = course_tasks.of_family("jobs-mxnet")
    good = [task for task in found if course_tasks.exit_code(task) == 0]
    if not good:
        seen = f"the latest is {course_tasks.end_of(found[0])}" if found else "ECS knows of none"
        raise Failed(
            f"no task of 'jobs-mxnet' has ended with exit code 0: {seen}",
            "ECS forgets a stopped task after an hour. If one failed, the last lines of its log say why.",
            "tasks.follow(tasks.run('jobs-mxnet', command=['jobs']))",
        )
    return f"task jobs-mxnet {_short(good[0])} stopped with exit code 0"


def log_has_its_lines() -> str:
    """What that task printed is in CloudWatch Logs."""
    for task in course_tasks.of_family("jobs-mxnet"):
        if course_tasks.exit_code(task) == 0:
            found = tasks.find(task["taskArn"])
            lines = tasks.logs(found)
            if lines:
                return f"its {len(lines)} lines are in {found.log_group}"
    raise Failed(
        "no line of a job is in CloudWatch Logs",
        "The execution role writes logs for a task: without logs:PutLogEvents they are lost.",
        "workshop prepare 3, then run a task again",
    )


def jupyter_answers_with_its_token() -> str:
    """The Jupyter task answers 200 with its token and 403 without; one that the learner stopped is well."""
    task = _latest("jupyter", "jupyter = tasks.run('jupyter', environment={'JUPYTER_TOKEN': token})")
    if task.get("stopCode") == BY_HAND and task.get("startedAt"):
        return f"task jupyter {_short(task)} ran until it was stopped: {task.get('stoppedReason', '')}"
    if task["lastStatus"] != "RUNNING":
        raise Failed(
            f"the Jupyter task does not run: {course_tasks.end_of(task)}",
            "It stops at once without a token of at least 16 characters, or if its memory is too small.",
            "read its log: tasks.logs(jupyter); then run step 3.4 again",
        )
    token = course_tasks.variable(task, "JUPYTER_TOKEN")
    address = tasks.address(tasks.find(task["taskArn"]), PORTS["jupyter"])
    with_token, without = _status(address, token), _status(address, "")
    if with_token != 200:
        raise Failed(
            f"Jupyter at {address} answers {with_token or 'nothing'} with its token, and 200 was expected",
            "It takes some seconds to start: its health check tells when it is ready.",
            "tasks.wait_healthy(jupyter), then check again",
        )
    if without == 200:
        raise Failed(
            f"Jupyter at {address} answers 200 without a token",
            "Whoever reaches that port can run any code with the task's rights.",
            "stop it now: tasks.stop(jupyter, 'open to everybody')",
        )
    return f"Jupyter answers 200 with its token and {without} without"


def primary_reached_secondary() -> str:
    """A task asked the secondary by the port that ECS mapped, and the secondary's log has the request."""
    task = _latest("secondary", "secondary = tasks.run('secondary')")
    lines = tasks.logs(tasks.find(task["taskArn"]))
    asked = [line for line in lines if "GET / " in line and " 200" in line]
    if not asked:
        end = course_tasks.end_of(task)
        raise Failed(
            f"nobody has asked the secondary ({len(lines)} lines in its log, its task is {end})",
            "The primary needs its address in the variable SECONDARY, with the port that ECS mapped; on "
            "AWS the "
            "security group must let tasks reach each other.",
            "run step 3.5 again: both cells",
        )
    callers = [
        each
        for family in ("jobs-tensorflow", "jobs-mxnet")
        for each in course_tasks.of_family(family)
        if course_tasks.variable(each, "SECONDARY")
    ]
    good = [each for each in callers if course_tasks.exit_code(each) == 0]
    if not good:
        seen = course_tasks.end_of(callers[0]) if callers else "no task was given SECONDARY"
        raise Failed(
            f"the secondary was asked, but no primary task ended well: {seen}",
            "Somebody else asked it, or the primary could not read the answer.",
            "run step 3.5 again: both cells",
        )
    return f"primary {_short(good[0])} reached secondary {_short(task)}: {asked[-1].strip()}"


def own_revision_ran() -> str:
    """The exercise: a recipe of one's own. Register a revision of jobs-mxnet with another memory, and run it.

    The learner has described jobs-mxnet, changed containerDefinitions[0]['memory'], registered that with
    ecs.register_task_definition, and run that revision with ecs.run_task until it stopped with exit code 0.
    """
    ecs = session.current().client("ecs")
    course = _memory(task_definitions.read("jobs-mxnet"))
    seen = []
    for task in course_tasks.of_family("jobs-mxnet"):
        definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        if _memory(definition) != course:
            revision = f"jobs-mxnet:{definition['revision']}"
            if course_tasks.exit_code(task) == 0:
                memory = f"{_memory(definition)} MiB instead of {course}"
                return f"task {_short(task)} of your {revision} ran with {memory}"
            seen.append(f"{revision} is {course_tasks.end_of(task)}")
    raise Failed(
        "no task of a revision of your own has ended with exit code 0" + (f": {seen[0]}" if seen else ""),
        f"Yours is a revision of jobs-mxnet whose memory is not the course's {course} MiB. Registering it "
        "is one "
        "half: a task must have run from it. With too little memory the task is killed, exit code 137.",
        "ecs.run_task(cluster=stacks.output('ClusterName'), taskDefinition=<the ARN of your revision>)",
    )


def _memory(definition: dict[str, Any]) -> int:
    return int(definition["containerDefinitions"][0].get("memory", 0))


def _definition(family: str) -> dict[str, Any] | None:
    ecs = session.current().client("ecs")
    arns = ecs.list_task_definitions(familyPrefix=family, status="ACTIVE", sort="DESC")["taskDefinitionArns"]
    own = [arn for arn in arns if arn.rpartition("/")[2].rpartition(":")[0] == family]  # not jobs-mxnet-gpu
    return dict(ecs.describe_task_definition(taskDefinition=own[0])["taskDefinition"]) if own else None


def _latest(family: str, fix: str) -> dict[str, Any]:
    """Return the running task of a family, or else the one that ran last."""
    found = course_tasks.of_family(family)
    running = [task for task in found if task["lastStatus"] == "RUNNING"]
    if not found:
        raise Failed(
            f"ECS knows of no task of '{family}'",
            "It was never run, or stopped more than an hour ago: then ECS has forgotten it.",
            fix,
        )
    return (running or found)[0]


def _status(address: str, token: str) -> int:
    """Ask Jupyter for its status; returns the HTTP status, 0 if nobody answers."""
    headers = {"Authorization": f"token {token}"} if token else {}
    with requests.Session() as http:
        http.trust_env = not session.current().is_local  # no proxy between us and loopback
        try:
            address = f"{address}/api/status"
            return http.get(address, headers=headers, timeout=JUPYTER_TIMEOUT_SECONDS).status_code
        except requests.RequestException:
            return 0


def _short(task: dict[str, Any]) -> str:
    return str(task["taskArn"]).rpartition("/")[2][:8]


CHECKS: tuple[Check, ...] = (
    recipes_are_registered,
    recipes_are_whole,
    job_ran_to_its_end,
    log_has_its_lines,
    jupyter_answers_with_its_token,
    primary_reached_secondary,
)
YOUR_TURN: tuple[Check, ...] = (own_revision_ran,)

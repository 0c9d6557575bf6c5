"""Lab 6: the service answers behind its load balancer, with the published version, and has grown with its load.

Try it:  workshop check 6
Asks the service as anybody would, and ECS, the load balancer and Application Auto Scaling how it came to be so.
"""

from typing import Any

import requests

from workshop.aws import models, services, session, stacks
from workshop.aws.service_records import Service
from workshop.checkpoints import Check, Failed

SECONDS = 10
HAPPY = "what a lovely day, I am so happy"
BAD_INPUT: tuple[dict[str, object], ...] = ({"text": ""}, {"text": 5}, {"txt": "a text"}, {"text": []})
RELEASE = 'python -c "from workshop.aws import services; services.release()"'
MOST_TASKS = 3


def service_is_stable() -> str:
    """The service has as many healthy tasks as it wants, all of one deployment."""
    found = services.describe()
    if not found.is_stable:
        latest = found.events[0].message if found.events else "no event yet"
        raise Failed(
            f"service {found.name}: {found.counts}",
            f"Its latest event: {latest}",
            'python -c "from workshop.aws import services; services.wait_stable(on_line=print)"',
        )
    return f"service {found.name} is stable: {found.running} of {found.desired} tasks, each healthy"


def tasks_have_no_public_address() -> str:
    """The tasks stand in the private subnets; the load balancer is the one way in."""
    private = set(stacks.output("PrivateSubnets").split(","))
    found = _described_tasks(services.describe())
    for task in found:
        details = {each["name"]: each["value"] for each in task["attachments"][0]["details"]}
        if details["subnetId"] not in private:
            raise Failed(
                f"task {task['taskArn'].rpartition('/')[2][:8]} stands in {details['subnetId']}, which is not private",
                "The service's network configuration names its subnets.",
                RELEASE,
            )
    return f"{len(found)} task{'s' if len(found) > 1 else ''} in private subnets, reached by the load balancer alone"


def service_answers() -> str:
    """GET /ping and POST /parseinputs answer as they were published."""
    url = services.url()
    alive = _ask("get", f"{url}/ping")
    answer = _ask("post", f"{url}/parseinputs", json={"text": HAPPY})
    if alive.json() != {"status": "working"} or not answer.json().get("sentiment"):
        raise Failed(
            f"{url} answers {alive.text[:80]} and {answer.text[:80]}",
            "Something else listens there.",
            RELEASE,
        )
    return f"{url} answers: '{HAPPY}' is {answer.json()['sentiment']}"


def version_is_the_published_one() -> str:
    """What answers is what the bucket says is in service."""
    model = f"s3://{stacks.output('ModelBucket')}/sentiment"
    wanted = models.current(model, session.current().client("s3"))
    answer = _ask("post", f"{services.url()}/predict", json={"text": HAPPY}).json()
    if wanted is None or answer["version"] != wanted.version:
        refused = _ask("get", f"{services.url()}/healthz").json().get("refused")
        raise Failed(
            f"version {answer['version']} answers, and current.json says {wanted.version if wanted else 'nothing'}",
            f"The service refused it: {refused['reason']}" if refused else "It looks every few seconds.",
            'python -c "from workshop.aws import services; services.roll(on_line=print)"',
        )
    return f"version {wanted.version} answers, the one in service"


def bad_input_is_the_callers_fault() -> str:
    """Strange input gets a 4xx status with a reason, and the service goes on."""
    for body in BAD_INPUT:
        answer = requests.post(f"{services.url()}/predict", json=body, timeout=SECONDS)
        if not 400 <= answer.status_code < 500 or not answer.json().get("error"):
            raise Failed(
                f"{body} got {answer.status_code}: {answer.text[:100]}",
                "What the caller did wrong is a 4xx with a sentence.",
                RELEASE,
            )
    return f"{len(BAD_INPUT)} bad inputs were refused with a reason"


def it_has_grown_with_its_load() -> str:
    """Target tracking has raised the desired count to three."""
    wanted = f"Setting desired count to {MOST_TASKS}."
    grown = any(wanted in line for line in services.activities())
    if not grown:
        raise Failed(
            "the service has never had three tasks by itself",
            "Target tracking wants three minutes with more requests per task than its target (15 seconds here).",
            "run the two cells of step 6.8 again",
        )
    return f"it grew with its load: {wanted}"


def earlier_version_is_in_service() -> str:
    """The exercise: take a version back.

    The learner has published a second version, pointed current.json back to the first (models.point_to), and the
    service answers with that one.
    """
    model = f"s3://{stacks.output('ModelBucket')}/sentiment"
    client = session.current().client("s3")
    current, every = models.current(model, client), models.history(model, client)
    answers = _ask("post", f"{services.url()}/predict", json={"text": HAPPY}).json()["version"]
    newest = max(every, key=lambda each: each.published_at) if every else None
    if current is None or newest is None or current.version == newest.version or answers != current.version:
        raise Failed(
            f"{answers} answers; in service: {current.version if current else 'none'}; "
            f"published last: {newest.version if newest else 'none'}",
            "Taking a version back means that an earlier one is in service and answers, with no new training.",
            "models.point_to(model, version, s3), then wait as long as MODEL_POLL_SECONDS",
        )
    return f"{answers} is back in service, published before {newest.version}"


def _ask(method: str, address: str, **arguments: Any) -> requests.Response:
    try:
        answer = requests.request(method, address, timeout=SECONDS, **arguments)
    except requests.RequestException as error:
        raise Failed(
            f"{address} does not answer: {type(error).__name__}",
            "The load balancer, or what stands behind it, is not there.",
            RELEASE,
        ) from error
    if answer.status_code != requests.codes.ok:
        raise Failed(
            f"{address} answers {answer.status_code}: {answer.text[:120]}",
            "503 means that no task is healthy, or that none has a network to answer with.",
            'python -c "from workshop.aws import services; print(services.describe())"',
        )
    return answer


def _described_tasks(service: Service) -> list[dict[str, Any]]:
    ecs = session.current().client("ecs")
    found = ecs.list_tasks(cluster=service.cluster, serviceName=service.name)["taskArns"]
    return list(ecs.describe_tasks(cluster=service.cluster, tasks=found)["tasks"]) if found else []


CHECKS: tuple[Check, ...] = (
    service_is_stable,
    tasks_have_no_public_address,
    service_answers,
    version_is_the_published_one,
    bad_input_is_the_callers_fault,
    it_has_grown_with_its_load,
)
YOUR_TURN: tuple[Check, ...] = (earlier_version_is_in_service,)

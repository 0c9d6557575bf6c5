"""RunTask's client token: the same request again is answered with the tasks of the first, and starts none.

Try it:  aws ecs run-task --cluster CLUSTER --task-definition FAMILY --client-token once     (twice)
Documented at https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html: a token counts
for 24 hours; with another request it is a conflict. The tasks themselves carry it, so that it holds after a
restart of the server, and as long as ECS remembers them.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

Request = dict[str, Any]
VALID_SECONDS = 24 * 3600
LONGEST = 64  # characters
CONFLICT = (
    "The RunTask request could not be processed due to conflicts. The provided clientToken is already in use "
    "with a different RunTask request."
)


def wrong_token(data: Request) -> str:
    """What AWS refuses about the token; empty if nothing."""
    token = str(data.get("clientToken") or "")
    if len(token) > LONGEST or any(not 33 <= ord(character) <= 126 for character in token):
        return f"The client token must have at most {LONGEST} characters in the range of 33-126."
    return ""


class OncePerToken:
    """Answers requests with a token; one at a time, so that two at once start the tasks of one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def answer(self, data: Request, start: Callable[[], Any]) -> Any:
        """The answer of an earlier request with this token, else that of `start`."""
        token = data.get("clientToken")
        if not token:
            return start()
        with self._lock:
            return _earlier(token, _digest(data)) or _marked(start(), token, _digest(data))


def _earlier(token: str, digest: str) -> Any:
    from ministack.services import ecs

    tasks = [task for task in ecs._tasks.values() if (task.get("_once") or {}).get("token") == token]
    tasks = [task for task in tasks if time.time() - task["_once"]["at"] < VALID_SECONDS]
    if not tasks:
        return None
    if any(task["_once"]["request"] != digest for task in tasks):
        return _conflict([task["taskArn"] for task in tasks])
    return ecs.json_response({"tasks": [ecs._sanitize(task) for task in tasks], "failures": []})


def _conflict(arns: list[str]) -> Any:
    from ministack.services import ecs

    status, headers, body = ecs.error_response_json("ConflictException", CONFLICT, 400)
    return status, headers, json.dumps({**json.loads(body), "resourceIds": arns}).encode()


def _marked(answer: Any, token: str, digest: str) -> Any:
    from ministack.services import ecs

    if answer[0] < 400:
        for started in json.loads(answer[2])["tasks"]:
            ecs._tasks[started["taskArn"]]["_once"] = {"token": token, "request": digest, "at": time.time()}
    return answer


def _digest(data: Request) -> str:
    """Names a request by all that it asks for; what ministack adds begins with an underscore."""
    asked = {name: value for name, value in data.items() if not name.startswith("_")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()

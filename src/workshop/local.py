"""Start and stop the local AWS for the course, and spell the variables that lead other programs to it.

Try it:  eval "$(workshop up --export)"                 (in fish: workshop up --export fish | source)
Starting, finding and stopping it is all that the course knows of it.
"""

import contextlib
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localaws import daemon
from localaws.errors import LocalAwsError
from workshop import built_in_algorithms, place, policies
from workshop.errors import TargetError, WorkshopError
from workshop.kernels import KERNELS
from workshop.records import write_json
from workshop.settings import Settings, in_environment

STARTED_WITH = "started-with.json"
# What tasks of the process engine get from the server's own variables; if one changes, a running server is
# stale.
PASSED_ON = ("WORKSHOP_ROOT", "WORKSHOP_CACHE_DIR", "WORKSHOP_DATA_DIR")
# What would win over our endpoint or credentials; so would each AWS_ENDPOINT_URL_<SERVICE>.
UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
LOOPBACK = "127.0.0.1,localhost,127.0.0.0/8"
SERVERS = ("serving", "linear-learner")  # environments that images run in and notebooks do not


def up(settings: Settings) -> daemon.Running:
    """Return the running local AWS, started if need be, and started anew if it would hand tasks other
    settings.
    """
    if settings.target != "local":
        raise TargetError("the target is aws: there is no local AWS to start", "unset WORKSHOP_TARGET")
    wanted = _passed_on(settings)
    with _explained():
        running = daemon.status(settings.state_dir)
        if running and _started_with(settings) not in (None, wanted) and not _serves_another(settings):
            daemon.stop(settings.state_dir)
            running = None
        if running:
            return running
        environments = {name: settings.root / ".venvs" / name for name in (*KERNELS, *SERVERS)}
        present = {name: folder for name, folder in environments.items() if folder.is_dir()}
        with in_environment({**dict.fromkeys(PASSED_ON), **wanted["variables"]}):
            documents = _policies(settings)
            running = daemon.start(
                settings.state_dir,
                settings.port,
                settings.region,
                settings.engine,
                present,
                learner=documents[policies.LEARNER],
                managed_policies={
                    policies.managed_name(name, settings.name): documents[name]
                    for name in (*policies.ATTACHED, policies.BOUNDARY)
                },
                learner_attached=[policies.managed_name(name, settings.name) for name in policies.ATTACHED],
                layer_cache=settings.cache_dir / "layers",
                metric_seconds=settings.metric_seconds,
                algorithms=built_in_algorithms.written(settings),
            )
    write_json(settings.state_dir / STARTED_WITH, wanted)
    return running


def down(settings: Settings) -> bool:
    """Stop the local AWS; False if it did not run. What it holds is kept."""
    with _explained():
        return bool(daemon.stop(settings.state_dir))


def status(settings: Settings) -> daemon.Running | None:
    """Return the running local AWS, or None."""
    return daemon.status(settings.state_dir)


def variables(endpoint: str, region: str) -> dict[str, str]:
    """Name the variables that lead any AWS client to the local AWS, with its own credentials."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        # These may stand in ~/.aws/config, where the first would lead every client to a real account.
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_USE_FIPS_ENDPOINT": "false",
        "AWS_USE_DUALSTACK_ENDPOINT": "false",
        # SageMaker's SDK would simulate the role's policy first, which the local AWS does not do.
        "SAGEMAKER_VALIDATE_ROLE": "false",
        # Clients read one spelling or the other; a proxy would see, and refuse, what is meant for this machine.
        "NO_PROXY": _without_proxy("NO_PROXY"),
        "no_proxy": _without_proxy("no_proxy"),
    }


def unwanted() -> list[str]:
    """Name the variables of this process that would lead an AWS client elsewhere."""
    own = sorted(name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_"))
    return [*UNSET, *own]


def _without_proxy(name: str) -> str:
    before = os.environ.get(name) or os.environ.get(name.swapcase(), "")
    return before if LOOPBACK in before else ",".join(filter(None, (before, LOOPBACK)))


def export(running: daemon.Running, region: str, shell: str = "sh") -> str:
    """Spell those variables for sh (also bash and zsh) or fish; a profile or a session token would win over
    them, so they go.
    """
    values = {name: shlex.quote(value) for name, value in variables(running.endpoint, region).items()}
    if shell == "fish":
        lines = [f"set -e {' '.join(unwanted())}", *(f"set -gx {name} {values[name]}" for name in values)]
        return "\n".join(lines)
    return f"unset {' '.join(unwanted())}\nexport {' '.join(f'{name}={values[name]}' for name in values)}"


def _serves_another(settings: Settings) -> bool:
    """Whether a run of another process needs the server as it is: then it stays, and a note says so."""
    holder = place.holder(settings.state_dir / place.COURSE)
    if holder is None or holder.get("pid") == os.getpid():
        return False
    print(
        f"note: the local AWS keeps the settings of `{holder.get('command')}` (process {holder.get('pid')}), "
        f"which uses it: its engine, {', '.join(PASSED_ON)}",
        file=sys.stderr,
    )
    return True


def _passed_on(settings: Settings) -> dict[str, Any]:
    every = settings.environment()
    return {
        "engine": settings.engine,
        "metric_seconds": settings.metric_seconds,
        "variables": {name: every[name] for name in PASSED_ON if name in every},
        "policies": {name: _digest(path) for name, path in _policies(settings).items()},
    }


def _policies(settings: Settings) -> dict[str, Path]:
    """What an attendee may do on AWS, and here; and what every role that an attendee makes is confined to."""
    return {name: policies.written(name, settings) for name in policies.EVERY}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _started_with(settings: Settings) -> Any:
    try:
        return json.loads((settings.state_dir / STARTED_WITH).read_text())
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Give the local AWS's errors the course's shape."""
    try:
        yield
    except LocalAwsError as error:
        raise WorkshopError(error.message, error.remedy) from error

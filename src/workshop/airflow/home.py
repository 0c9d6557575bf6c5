"""Airflow's own place in the state folder: its database, and the variables that its programs run with.

Try it:  python -c "from workshop.airflow import home; from workshop.settings import load; print(home.prepare(load()))"
SQLite, no examples, no telemetry, every log in a file. Airflow is a program of another environment here: nothing of it
is imported. Knows nothing of DAGs.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from workshop import local
from workshop.children import end_with_parent
from workshop.errors import WorkshopError
from workshop.settings import Settings

ENVIRONMENT = "airflow"
MADE_FOR = "made-for.sha256"
MIGRATE_SECONDS = 300


def program(settings: Settings) -> Path:
    """The `airflow` command. Errors: WorkshopError if its environment is not made here."""
    found = settings.root / ".venvs" / ENVIRONMENT / "bin" / "airflow"
    inside = Path(sys.executable).with_name("airflow")  # an image is one environment, and has no .venvs
    if not (settings.root / ".venvs").is_dir() and inside.exists():
        return inside
    if not found.exists():
        raise WorkshopError(f"Airflow is not set up here: there is no {found.parent.parent}", "make setup")
    return found


def prepare(settings: Settings) -> Path:
    """Make AIRFLOW_HOME with a migrated database, once for each version; what a kill left half done is redone."""
    airflow, home = program(settings), folder(settings)
    wanted = _fingerprint(settings, airflow)
    if _made_for(home) == wanted:
        return home
    with _only_one(settings.state_dir):
        if _made_for(home) == wanted:
            return home
        half = home.with_name(home.name + ".new")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700, parents=True)  # parameters and logs of runs are nobody else's business
        _migrate(airflow, half, settings)
        # Airflow writes its configuration with this folder's name, which is about to change; it writes it again.
        (half / "airflow.cfg").unlink(missing_ok=True)
        (half / MADE_FOR).write_text(wanted)
        shutil.rmtree(home, ignore_errors=True)
        half.replace(home)
    return home


def folder(settings: Settings) -> Path:
    return settings.state_dir / "airflow"


def variables(settings: Settings, credentials: Mapping[str, str], endpoint: str | None) -> dict[str, str]:
    """All variables of Airflow's programs: the person's own Airflow and AWS settings are left out.

    credentials: of the role that the DAG acts with. endpoint: of the local AWS; None for AWS itself.
    """
    unwanted = (*local.unwanted(), "AIRFLOW_HOME", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in unwanted and not name.startswith(("AIRFLOW__", "AWS_"))
    }
    region = {"AWS_REGION": settings.region, "AWS_DEFAULT_REGION": settings.region}
    there = local.variables(endpoint, settings.region) if endpoint else region
    return {
        **kept,
        **settings.environment(),
        **there,
        # The role's rights and no others: no profile, no credentials of the machine.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **credentials,
        **configuration(settings, folder(settings)),
    }


def configuration(settings: Settings, home: Path) -> dict[str, str]:
    """Airflow's settings as variables: https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html"""
    options = {
        "CORE__DAGS_FOLDER": settings.root / "airflow" / "dags",
        "CORE__PLUGINS_FOLDER": settings.root / "airflow" / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 4,
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "LOGGING__BASE_LOG_FOLDER": home / "logs",
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": home / "logs" / "dag_processor",
        "LOGGING__COLORED_CONSOLE_LOG": False,
        "USAGE_DATA_COLLECTION__ENABLED": False,
        "METRICS__STATSD_ON": False,
    }
    spelled = {f"AIRFLOW__{name}": str(value) for name, value in options.items()}
    # What some of its packages would tell their makers.
    quiet = {"SCARF_ANALYTICS": "false", "DO_NOT_TRACK": "1", "SCARF_NO_ANALYTICS": "true"}
    return {"AIRFLOW_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **spelled, **quiet}


def _migrate(airflow: Path, home: Path, settings: Settings) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW__", "AWS_"))}
    variables = {**own, **configuration(settings, home)}
    with (home / "migrate.log").open("wb") as log:
        outcome = subprocess.run(
            [airflow, "db", "migrate"],
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=MIGRATE_SECONDS,
            preexec_fn=end_with_parent,
            check=False,
        )
    if outcome.returncode:
        raise WorkshopError(
            f"Airflow's database could not be made (exit code {outcome.returncode})",
            f"read {home}/migrate.log",
        )


def _fingerprint(settings: Settings, airflow: Path) -> str:
    """What a database is made for: the pinned packages and the place of their environment."""
    pinned = settings.root / "requirements" / "airflow.txt"
    content = pinned.read_bytes() if pinned.is_file() else b""
    return hashlib.sha256(content + str(airflow).encode()).hexdigest()


def _made_for(home: Path) -> str:
    stamp = home / MADE_FOR
    return stamp.read_text() if stamp.is_file() else ""


@contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """One at a time, the others wait; the lock ends with its process, however that ends."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "airflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

"""Run a job: one parametrised notebook of notebooks/, here, in an ECS task or in a training job, with the same results.

Try it:  workshop run train-images-tensorflow -p num_epochs=2
Every run has an output (a folder, or s3://bucket/runs/ID) with notebook.ipynb, metrics.json, run.json and
what the job itself writes. Parameters are checked before anything starts. What an ECS task is, `job_tasks`
knows, and what a training job is, `job_training_jobs`; this does not.
"""

import difflib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from workshop import parameters as strict
from workshop.errors import JobError
from workshop.execution import Event, Listener
from workshop.settings import Settings
from workshop.settings import load as load_settings

OUTPUT = "output"
PLACES = ("here", "ecs", "sagemaker")


@dataclass(frozen=True)
class Job:
    """A job as its notebook describes it."""

    name: str
    path: Path
    parameters: dict[str, strict.Parameter]
    environment: str
    family: str
    minutes: float
    title: str = ""
    environment_parameters: dict[str, str] = field(default_factory=dict)
    choices: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    group: str = ""  # how several workers do it together, a shape of `group_plan`; empty: one does it alone

    def chosen(self, values: Mapping[str, Any]) -> "Job":
        """Return the job as its values make it: framework=mxnet, say, runs in another environment and
        family.
        """
        changes: dict[str, Any] = {}
        for name, by_value in self.choices.items():
            value = values.get(name, self.parameters[name].default)
            changes |= by_value.get(str(value), {})
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True)
class Result:
    """What a run gave: `output` is a folder or an s3:// address, `notebook` the executed copy on this
    machine.
    """

    run_id: str
    output: str
    metrics: dict[str, Any]
    notebook: Path
    seconds: float
    members: dict[str, str] = field(default_factory=dict)  # of a group: each one's task or process

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "notebook": str(self.notebook)}

    def file(self, name: str) -> Path:
        """Return a file of the run on this machine; JobError names what there is if it is not."""
        path = self.notebook.parent / name
        if not path.exists():
            there = sorted(each.name for each in path.parent.iterdir() if not each.name.startswith("."))
            raise JobError(
                f"run {self.run_id} has no {name} (it has {', '.join(there)})", f"ls {path.parent}"
            )
        return path


def names(settings: Settings | None = None) -> list[str]:
    """Name every job, in alphabetical order."""
    root = (settings or load_settings()).root
    return sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))


def load(name: str, settings: Settings | None = None) -> Job:
    """Read a job's description; JobError names the nearest job if there is none by that name."""
    settings = settings or load_settings()
    path = settings.root / "notebooks" / f"{name}.ipynb"
    if name not in names(settings):
        near = difflib.get_close_matches(name, names(settings), n=1, cutoff=0.4)
        raise JobError(
            f"there is no job '{name}' in notebooks/" + (f": did you mean '{near[0]}'?" if near else ""),
            "workshop jobs",
        )
    content = json.loads(path.read_text())
    front = content["metadata"].get("workshop", {})
    found = strict.read(content["cells"], path.name)
    missing = [key for key in ("environment", "family") if key not in front]
    missing += [f"the parameter '{OUTPUT}'"] if OUTPUT not in found else []
    if missing:
        raise JobError(f"{path.name} lacks {', '.join(missing)}", "mend metadata.workshop of the notebook")
    first = "".join(content["cells"][0]["source"]) if content["cells"] else ""
    return Job(
        name=name,
        path=path,
        parameters=found,
        environment=front["environment"],
        family=front["family"],
        minutes=float(front.get("minutes", 1)),
        title=first.partition("\n")[0].lstrip("# ").strip(),
        environment_parameters=dict(front.get("environment_parameters", {})),
        choices=dict(front.get("choices", {})),
        group=str(front.get("group", "")),
    )


def validate(job: Job, given: Mapping[str, Any]) -> dict[str, strict.Value]:
    """Check given values against the job; every problem is reported at once."""
    return strict.validate(job.parameters, given, job.name)


def from_environment(job: Job, variables: Mapping[str, str]) -> dict[str, str]:
    """Read the parameters that the job takes from variables, such as IMAGEURL; OUTPUT_BUCKET is
    OUTPUTBUCKET.
    """
    plain = {name.replace("_", "").upper(): value for name, value in variables.items()}
    found: dict[str, str] = {}
    for variable, parameter in job.environment_parameters.items():
        value = plain.get(variable.replace("_", "").upper(), "")
        if value and parameter == OUTPUT and not value.startswith("s3://"):
            value = f"s3://{value}/runs/{new_run_id(job.name)}"
        if value and parameter not in found:
            found[parameter] = value
    return found


def new_run_id(what: str) -> str:
    """Make a run's name: sorted by time, readable, and never twice the same."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{what}-{secrets.token_hex(4)}"


def run(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    on: str = "here",
    output: str | None = None,
    resume: bool | str = False,
    on_progress: Listener | None = None,
    size: str = "cpu",
    settings: Settings | None = None,
    workers: int = 1,
    shell: bool = False,
) -> Result:
    """Run a job and return its metrics.

    on: 'here', 'ecs' for a task of the job's family, or 'sagemaker' for a training job. size: 'cpu' or 'gpu', for ECS.
    workers: how many do it together, 1 to 8: processes here, tasks on ECS.
    shell: so that `workshop shell` can look into its tasks.
    resume: go on with the newest unfinished run of the same job with the same parameters, if there is one; or
    with the run of this id, whose parameters it then takes.
    Errors: JobError, for bad input before anything starts, afterwards with the failing cell and its error.
    """
    from workshop import job_runs

    settings = settings or load_settings()
    job = load(name, settings)
    values = validate(job, parameters or {})
    if on not in PLACES:
        raise JobError(
            f"a job runs on one of {', '.join(PLACES)}, and '{on}' is none of them",
            f"workshop run {name} --on here",
        )
    _check_workers(job.chosen(values), workers, settings)
    output = output or str(values.get(OUTPUT) or "")
    values.pop(OUTPUT, None)
    request = job_runs.Request(
        job.chosen(values), values, on, output, size, on_progress or print_lines, workers, shell
    )
    if on == "sagemaker":
        from workshop import job_training_jobs

        job_training_jobs.check(request)
    return job_runs.start(request, settings, resume)


def _check_workers(job: Job, workers: int, settings: Settings) -> None:
    from workshop import group_plan

    group_plan.members(job.group or group_plan.SHAPES[0], workers)
    if workers > 1 and not job.group:
        able = ", ".join(name for name in names(settings) if load(name, settings).group) or "none"
        raise JobError(
            f"job '{job.name}' is done by one worker (those that several can share: {able})",
            f"workshop run {job.name}",
        )


def print_lines(event: Event) -> None:
    """The listener used when none is given: what the notebook prints is printed as it comes."""
    if event.kind == "line":
        print(event.text, flush=True)

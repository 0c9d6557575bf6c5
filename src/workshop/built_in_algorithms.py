"""Describe to the local AWS what runs there in the place of SageMaker's built-in algorithms.

Try it:  workshop up; cat .workshop/algorithms/linear-learner.json
There is one: Linear Learner, as the package linearlearner in the image of docker/linear-learner. No learner builds or
pushes it: the local AWS does what it needs at the first use, as AWS has its own image ready. Knows no SageMaker.
"""

from pathlib import Path

from workshop.records import write_json
from workshop.settings import Settings

NAMES = ("linear-learner",)
FOLDER = "algorithms"


def written(settings: Settings) -> dict[str, Path]:
    """Write the descriptions into the state folder; their files, by the algorithm's name."""
    return {name: _write(name, settings) for name in NAMES}


def _write(name: str, settings: Settings) -> Path:
    """One file: the configuration that the image has, and where its Dockerfile and its context are."""
    from workshop.aws import dockerfile  # it brings a parser, which only the start of the local AWS needs

    path = settings.root / "docker" / name / "Dockerfile"
    target = settings.state_dir / FOLDER / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        target,
        {
            "name": name,
            "config": dockerfile.read(path).config,
            "dockerfile": str(path),
            "context": str(settings.root),
        },
    )
    return target

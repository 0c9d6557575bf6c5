"""What a job does besides when it runs in a training job of SageMaker's: leave its artefact and its failure there.

Try it:  workshop run train-images-mxnet --on sagemaker
SageMaker packs the folder `model` and reads the file `output/failure`, below /opt/ml or where SAGEMAKER_BASE_DIR says
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html). Outside of a training job
nothing here does anything.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from workshop.errors import WorkshopError

JOB_VARIABLE, BASE_VARIABLE = "TRAINING_JOB_NAME", "SAGEMAKER_BASE_DIR"
BASE = "/opt/ml"
ARTEFACT = "artefact"  # the folder of a run's output that holds what was trained
LONGEST_FAILURE = 1024  # characters that SageMaker reads of it


def base(environ: Mapping[str, str] | None = None) -> Path | None:
    """The folder that SageMaker looks into; None outside of a training job."""
    environ = os.environ if environ is None else environ
    return Path(environ.get(BASE_VARIABLE) or BASE) if environ.get(JOB_VARIABLE) else None


@contextmanager
def telling_failure(environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Write down why the block failed, for DescribeTrainingJob; an interruption is no failure."""
    try:
        yield
    except Exception as error:
        folder = base(environ)
        if folder is not None:
            _write(folder / "output" / "failure", _told(error))
        raise


def keep_artefact(output: str, environ: Mapping[str, str] | None = None) -> list[Path]:
    """Put what a run has trained where SageMaker packs it; the files. A job that trains nothing leaves nothing."""
    folder = base(environ)
    if folder is None:
        return []
    model = folder / "model"
    try:
        model.mkdir(parents=True, exist_ok=True)
        if output.startswith("s3://"):
            from workshop.aws import objects

            objects.sync_down(f"{output}/{ARTEFACT}", model)
        elif (Path(output) / ARTEFACT).is_dir():
            shutil.copytree(Path(output) / ARTEFACT, model, dirs_exist_ok=True)
    except PermissionError as error:  # AWS makes the folder for root, and the image runs as another user
        print(f"note: {error.filename} may not be written; the artefact is in {output}", file=sys.stderr)
        return []
    return sorted(path for path in model.rglob("*") if path.is_file())


def _told(error: Exception) -> str:
    if isinstance(error, WorkshopError):
        return error.message + (f"; fix: {error.remedy}" if error.remedy else "")
    return f"{type(error).__name__}: {error}"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text[:LONGEST_FAILURE])
    except OSError as error:  # the failure itself says more than that it can't be written down
        print(f"note: {path} could not be written: {error.strerror}", file=sys.stderr)

"""Where SageMaker puts what a container reads, and where it looks for what the container leaves.

Try it:  SAGEMAKER_BASE_DIR=/tmp/ml python -c "from linearlearner import folders; print(folders.here())"
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
SAGEMAKER_BASE_DIR replaces /opt/ml, as in SageMaker's own training toolkit: without Docker there is no /opt/ml.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linearlearner.errors import CustomerError

BASE = Path("/opt/ml")
BASE_VARIABLE = "SAGEMAKER_BASE_DIR"


@dataclass(frozen=True)
class Folders:
    """The parts of /opt/ml."""

    base: Path

    @property
    def hyperparameters(self) -> Path:
        return self.base / "input" / "config" / "hyperparameters.json"

    @property
    def channels(self) -> Path:
        return self.base / "input" / "config" / "inputdataconfig.json"

    @property
    def resources(self) -> Path:
        return self.base / "input" / "config" / "resourceconfig.json"

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def failure(self) -> Path:
        return self.base / "output" / "failure"

    def channel(self, name: str) -> Path:
        return self.base / "input" / "data" / name

    def shown(self, path: Path) -> str:
        """A path below the base as the job knows it: in /opt/ml, wherever that really is."""
        return str(BASE / path.relative_to(self.base))

    def host(self) -> str:
        """The name of this instance in the job; the log lines repeat it."""
        found = read_json(self.resources) if self.resources.is_file() else {}
        return str(found.get("current_host", "algo-1"))


def here(environ: Mapping[str, str] | None = None) -> Folders:
    """The folders that this process was given."""
    return Folders(Path((os.environ if environ is None else environ).get(BASE_VARIABLE) or BASE))


def read_json(path: Path) -> dict[str, Any]:
    """A configuration file. Errors: CustomerError if it is missing or no JSON object."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CustomerError(f"Unable to read {path}", str(error), type(error).__name__) from error
    if not isinstance(found, dict):
        raise CustomerError(f"Unable to read {path}", "it is not a JSON object", "ValueError")
    return found

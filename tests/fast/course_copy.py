"""A course as small as one can be, in a temporary folder: three labs and a job, without any AWS.

Not a test. Its notebooks are in fixtures/; they run in the repository's own environment.
"""

import shutil
from pathlib import Path

from workshop.settings import Settings, load

FIXTURES = Path(__file__).parent / "fixtures"
ENVIRONMENTS = Path(__file__).resolve().parents[2] / ".venvs"


def small_course(folder: Path) -> Settings:
    """Copy the fixtures into a folder and return the settings of a course that lives there."""
    root = folder / "course"
    shutil.copytree(FIXTURES, root)
    (root / ".venvs").symlink_to(ENVIRONMENTS)
    return load(environ={}, root=str(root), state_dir=str(folder / "state"), runs_dir=str(folder / "runs"))


def variables(settings: Settings) -> dict[str, str]:
    """The variables that lead the command, started from anywhere, to that course."""
    return settings.environment()

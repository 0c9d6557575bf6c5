"""Tell whether the AWS CLI on the path would ask the local AWS, or real AWS.

Try it:  workshop doctor
The CLI learned AWS_ENDPOINT_URL in 1.29.0 and 2.13.0 (July 2023); Debian 12 has 2.9. An older one asks real AWS
with the key `local`, which is refused there with words that lead nowhere. Knows nothing else of the CLI.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass

HONOURS_ENDPOINT_FROM = {1: (1, 29), 2: (2, 13)}
TIMEOUT_SECONDS = 10
REMEDY = (
    "install version 2 as https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html says, "
    "or put .venvs/awscli/bin, which `make test` sets up, first on your path"
)


@dataclass(frozen=True)
class AwsCli:
    """A CLI that was found; version is empty if it does not say one."""

    path: str
    version: tuple[int, ...]

    @property
    def problem(self) -> str:
        """Why it can't be used with the local AWS, or an empty string."""
        if not self.version:
            return f"{self.path} does not say its version"
        needed = HONOURS_ENDPOINT_FROM.get(self.version[0], (0,))
        if self.version >= needed:
            return ""
        return f"{self} does not know AWS_ENDPOINT_URL and asks real AWS; {_spelled(needed)} does"

    def __str__(self) -> str:
        return f"{self.path}, version {_spelled(self.version)}"


def find() -> AwsCli | None:
    """The CLI that a shell would run, or None if there is none on the path."""
    path = shutil.which("aws")
    if path is None:
        return None
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return AwsCli(path, ())
    found = re.search(r"aws-cli/(\d+)\.(\d+)\.(\d+)", said.stdout + said.stderr)  # old ones say it on stderr
    return AwsCli(path, tuple(int(part) for part in found.groups()) if found else ())


def _spelled(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))

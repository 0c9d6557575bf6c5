"""What an image holds: every Python and Debian package in it, as a bill of materials, and their known faults.

Try it:  workshop sbom mxnet          and, with a network:  workshop sbom mxnet --scan
The image itself is asked, not its lock: what was removed after its installation is not in it. The bill is written
by CycloneDX's library and the scan made by pip-audit, both in the environment `audit`. The scan covers Python's
packages alone, and asks the package registry's advisory database: without a network nothing is scanned, and it
says so.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop.aws import docker, images, session
from workshop.aws.session import Aws
from workshop.errors import AwsError
from workshop.settings import Settings

LIST_SECONDS = 60
SCAN_SECONDS = 600
PYTHON_PACKAGES = """
import json
from importlib.metadata import distributions
found = {}
for each in distributions():
    told = each.metadata.get("License-Expression") or each.metadata.get("License") or ""
    license = told if len(told) < 60 and "\\n" not in told else ""  # some put the whole text there
    name = each.metadata["Name"]
    found[name] = {"kind": "pypi", "name": name, "version": each.version, "license": license}
print(json.dumps(sorted(found.values(), key=lambda each: each["name"].lower())))
"""
AUDIT = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "10"]
DEBIAN_PACKAGES = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n"]


@dataclass(frozen=True)
class Bill:
    """A bill that was written. python: (name, version) of each Python package, which is what a scan looks at."""

    image: str
    path: Path
    packages: int
    python: tuple[tuple[str, str], ...]


def write(name: str, aws: Aws | None = None, gpu: bool = False) -> Bill:
    """Write the bill of an image that was built. Errors: AwsError if it was not, or the tools are not here."""
    aws = aws or session.current()
    tool = _tool("python", aws.settings)
    packages, digest = _packages(name, aws, gpu)
    asked = subprocess.run(
        [tool, "-m", "workshop.bill_writer"],
        input=json.dumps({"name": f"workshop-{name}", "digest": digest, "packages": packages}),
        capture_output=True,
        text=True,
        timeout=LIST_SECONDS,
    )
    if asked.returncode:
        raise AwsError(f"the bill of '{name}' could not be written: {asked.stderr.strip()[-500:]}")
    path = aws.settings.state_dir / "bills" / f"{name}{'-gpu' if gpu else ''}.cdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(asked.stdout)
    python = tuple((each["name"], each["version"]) for each in packages if each["kind"] == "pypi")
    return Bill(name, path, len(packages), python)


def scan(bill: Bill, aws: Aws | None = None) -> list[dict[str, Any]]:
    """Known faults of a bill's Python packages, each with the versions that mend it.

    Errors: AwsError if the advisory database can't be reached, or does not know most of what it was asked:
    finding nothing there would say nothing.
    """
    tool = _tool("pip-audit", (aws or session.current()).settings)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("".join(f"{name}=={version}\n" for name, version in bill.python))
        listed.flush()
        asked = subprocess.run(
            [tool, "--requirement", listed.name, *AUDIT], capture_output=True, text=True, timeout=SCAN_SECONDS
        )
    try:
        found = json.loads(asked.stdout)["dependencies"]
    except (ValueError, KeyError):
        found = []
    unknown = [each["name"] for each in found if "skip_reason" in each]
    if len(unknown) * 2 >= len(found):
        raise AwsError(
            f"the advisory database does not answer here ({len(found) - len(unknown)} of {len(bill.python)} "
            "packages could be asked for): nothing is known of faults",
            "run it again where the package registry is reached directly",
        )
    return [
        {
            "package": each["name"],
            "version": each["version"],
            "id": fault["id"],
            "mended_in": ", ".join(fault["fix_versions"]) or "no version yet",
        }
        for each in found
        for fault in each.get("vulns", [])
    ]


def _packages(name: str, aws: Aws, gpu: bool) -> tuple[list[dict[str, str]], str]:
    """Everything that is installed in an image, and its digest."""
    if images.engine(aws) != "docker":
        # The process engine has no image layers: what the image runs in is an environment of this machine.
        listed = json.loads(images.shell(name, ["python", "-c", PYTHON_PACKAGES], LIST_SECONDS, aws))
        return listed, images.inspect(name, aws).labels[images.ENVIRONMENT_LABEL]
    uri = images.docker_uri(name, aws, gpu)
    python = json.loads(docker.run(uri, ["python", "-c", PYTHON_PACKAGES], LIST_SECONDS))
    debian = [line.split() for line in docker.run(uri, DEBIAN_PACKAGES, LIST_SECONDS).splitlines()]
    debs = [{"kind": "deb", "name": package, "version": version} for package, version in debian]
    return [*python, *debs], docker.inspect(uri)["Id"]


def _tool(program: str, settings: Settings) -> Path:
    found = settings.root / ".venvs" / "audit" / "bin" / program
    if not found.is_file():
        raise AwsError(
            "what writes bills of materials is not set up here",
            "python3 src/workshop/environments.py --audit",
        )
    return found

"""The images that the Docker tier uses, and the plain docker command. Not a test."""

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import psutil

from localaws.engine.dockerinterface import archive

DOCKERFILE = """\
FROM python:3.11-slim-bookworm
LABEL workshop.environment=here
ENV FROM_IMAGE=1
WORKDIR /srv
COPY packages/ /opt/packages/
ENV PYTHONPATH=/opt/packages
ENTRYPOINT ["python", "-u", "-c"]
"""
SMALL = f"localaws-test/small-{os.getpid()}:latest"  # a run beside this one removes its own
WATCHDOG = "engine/dockerwatch.py"  # each server with the Docker engine has one
# boto3 and what it needs, so that a task can call the local AWS as any program would; no network is needed.
PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
# The largest of botocore's models, for services that no test here calls.
UNUSED_SERVICES = ("ec2", "sagemaker", "quicksight", "connect", "glue", "iot", "medialive", "mediaconvert")


def docker(*words: str, seconds: float = 120) -> str:
    """Run a docker command and return what it prints."""
    ended = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=seconds)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def network_is_left() -> bool:
    """Whether the engine's network is there, though no server of this machine is and Docker would remove it."""
    if "localaws" not in docker("network", "ls", "--format", "{{.Name}}").split():
        return False
    others = [
        each for each in psutil.process_iter(["cmdline"]) if WATCHDOG in " ".join(each.info["cmdline"] or [])
    ]
    return not others and not _is_miscounted()


def _is_miscounted() -> bool:
    """Whether Docker says that the network is in use, and by nobody: see localaws.engine.dockernetwork."""
    assert docker("network", "inspect", "--format", "{{len .Containers}}", "localaws") == "0"
    removed = subprocess.run(["docker", "network", "rm", "localaws"], capture_output=True, text=True)
    return "has active endpoints" in removed.stderr


def build_small(context: Path) -> None:
    """Build the image that runs the Python code it is given."""
    source, packages = Path(sysconfig.get_path("purelib")), context / "packages"
    packages.mkdir()
    for name in PACKAGES:
        if (source / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", *UNUSED_SERVICES)
            shutil.copytree(source / name, packages / name, ignore=ignored)
        else:
            shutil.copy(source / name, packages / name)
    (context / "Dockerfile").write_text(DOCKERFILE)
    docker("build", "--quiet", "--tag", SMALL, str(context), seconds=300)


def make_unknown(tag: str, size_bytes: int) -> None:
    """Make an image of one layer that no registry has seen before; nothing in it can run."""
    content = archive(os.urandom(size_bytes))
    subprocess.run(["docker", "import", "-", tag], input=content, stdout=subprocess.DEVNULL, check=True)


def config_of(tag: str) -> dict[str, Any]:
    """The configuration of an image that Docker has."""
    return dict(json.loads(docker("image", "inspect", tag))[0]["Config"])


def remove_images(port: int) -> None:
    """Take every name from the images that are in one server's registry; layers stay for the next build."""
    form = "{{range .RepoTags}}{{.}} {{end}}{{range .RepoDigests}}{{.}} {{end}}"
    for image in set(docker("images", "--quiet", "--filter", f"reference=127.0.0.1:{port}/*").split()):
        names = docker("image", "inspect", "--format", form, image).split()
        mine = [name for name in names if name.startswith((f"127.0.0.1:{port}/", "123456789012.dkr.ecr."))]
        docker("image", "rm", "--force", *mine)

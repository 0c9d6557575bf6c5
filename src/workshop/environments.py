"""Make the course's Python environments: one folder in .venvs for each hash-pinned file in requirements/.

Try it:  python3 src/workshop/environments.py          (what `make setup` runs)
Runs before anything is installed, on whatever Python calls it: standard library only, and it imports nothing of ours.
An environment that is complete carries a stamp of what it was made from, so a second run does nothing.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENVS = ROOT / ".venvs"
STAMP = "made-from.sha256"
PIP_OPTIONS = ("-q", "--disable-pip-version-check", "--require-hashes")
NEEDED_GIB = {
    "workshop": 4.0,
    "mxnet": 1.2,
    "airflow": 1.0,
    "serving": 0.6,
    "linear-learner": 0.3,
}  # measured 2.9, 0.7, 0.3, 0.15 and 0.1 GiB, plus the installer's own copies
# MXNet's last wheels need these two of the system's libraries; Debian's slim images lack them.
MXNET_LIBRARIES = "apt-get install -y libgomp1 libquadmath0"


class SetupError(Exception):
    """What is wrong, and in its second argument the command that mends it."""


def left_out(name):
    """Say why an environment can't be made on this machine, or return an empty string."""
    system, machine = platform.system(), platform.machine().lower()
    if name == "mxnet" and not (system == "Linux" and machine in ("x86_64", "aarch64")):
        return (
            f"MXNet 1.9.1 has no wheel for {system} on {machine}: its parts of the labs are shown as left out"
        )
    if name == "workshop" and system == "Darwin" and machine == "x86_64":
        return "TensorFlow 2.21 has no wheel for macOS on Intel: its parts of the labs are shown as left out"
    return ""


def check_python():
    """Refuse any Python but 3.11 before anything is written: the locked wheels exist for that one only."""
    if sys.version_info[:2] != (3, 11):
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(
            f"the workshop needs Python 3.11, and {sys.executable} is {found}",
            "install Python 3.11 (Debian and Ubuntu: apt install python3.11 python3.11-venv), or name yours: "
            "make setup PYTHON=/path/to/python3.11",
        )


def check_disk(name):
    free_gib, needed_gib = shutil.disk_usage(ROOT).free / 2**30, NEEDED_GIB.get(name, 0.2)
    if free_gib < needed_gib:
        raise SetupError(
            f"environment '{name}' needs {needed_gib:.1f} GiB, and {ROOT} has {free_gib:.1f} GiB free",
            "free some space, or clone the workshop to a larger disk",
        )


def run(command, remedy):
    environment = {
        k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    }
    outcome = subprocess.run([str(part) for part in command], cwd=ROOT, env=environment)
    if outcome.returncode:
        raise SetupError(
            f"`{' '.join(str(part) for part in command[:4])} …` ended with {outcome.returncode}", remedy
        )


def fingerprint(*files):
    """SHA-256 over this Python, the place and the given files: what an environment was made from."""
    digest = hashlib.sha256(f"{sys.version} {ROOT}".encode())
    for file in files:
        digest.update((ROOT / file).read_bytes())
    return digest.hexdigest()


def installer():
    """Return the pinned uv, made in an environment of its own with pip on the first call."""
    folder, wanted = VENVS / "uv", fingerprint("requirements/uv.txt")
    stamp = folder / STAMP
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder], "Debian and Ubuntu: apt install python3.11-venv")
        run(
            [folder / "bin/pip", "install", *PIP_OPTIONS, "-r", "requirements/uv.txt"],
            "check the network: a package registry must be reachable for the first set-up; then make setup",
        )
        stamp.write_text(wanted)
    return folder / "bin/uv"


def make(name, requirements):
    """Bring one environment to its locked state; does nothing if its stamp says that it is there."""
    folder = VENVS / name
    stamp, wanted = folder / STAMP, fingerprint(*requirements, "pyproject.toml")
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    check_disk(name)
    started = time.monotonic()
    print(f"environment '{name}': installing from {' and '.join(requirements)}", flush=True)
    uv = installer()
    stamp.unlink(missing_ok=True)
    if not (folder / "bin/python").exists():
        run([uv, "venv", "-q", "--clear", "--python", sys.executable, folder], "make clean, then make setup")
    network = "check the network and the disk, then run it again: it goes on where it stopped"
    python = ["--python", folder / "bin/python"]
    quiet = [] if sys.stderr.isatty() else ["-q"]  # a person watches the downloads, a log does not
    run([uv, "pip", "sync", *quiet, *python, "--require-hashes", *requirements], network)
    run([uv, "pip", "install", "-q", *python, "--no-deps", "--no-build-isolation", "-e", "."], network)
    if name == "mxnet":
        run([folder / "bin/python", "-W", "ignore", "-c", "import mxnet"], MXNET_LIBRARIES)
    stamp.write_text(wanted)
    print(f"environment '{name}': ready after {time.monotonic() - started:.0f} s", flush=True)
    return True


@contextlib.contextmanager
def only_one():
    """Let one set-up run at a time; the lock ends with its process, however that ends."""
    VENVS.mkdir(exist_ok=True)
    with (VENVS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another set-up is running here: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def setup(with_tests=False, with_moto=False, with_audit=False):
    """Make every environment that this machine can have, and the kernels that the notebooks name.

    with_tests: also the tools of the tests, the AWS CLI among them; with_moto: also the server that the
    benchmarks compare ours with; with_audit: also what `workshop sbom` needs.
    """
    check_python()
    tools = ["requirements/test.txt"] if with_tests or (VENVS / "with-tests").exists() else []
    wanted = {"workshop": ["requirements/workshop.txt", *tools]}
    wanted |= {
        name: [f"requirements/{name}.txt"] for name in ("mxnet", "serving", "airflow", "linear-learner")
    }
    if with_tests:
        wanted["awscli"] = ["requirements/awscli.txt"]
    if with_moto:
        wanted["moto"] = ["requirements/moto.txt"]
    if with_audit or with_tests:
        wanted["audit"] = ["requirements/audit.txt"]
    with only_one():
        if with_tests:
            # So that `make workshop` after `make test` does not take the tools out again.
            (VENVS / "with-tests").touch()
        for name, requirements in wanted.items():
            reason = left_out(name)
            if reason:
                print(f"environment '{name}': left out: {reason}", flush=True)
            else:
                make(name, requirements)
        if not left_out("workshop"):
            run([VENVS / "workshop/bin/python", "-m", "workshop.kernels"], "make clean, then make setup")


def main():
    parser = argparse.ArgumentParser(description="Make the course's Python environments from requirements/.")
    parser.add_argument("--tests", action="store_true", help="with the tools that the tests need")
    parser.add_argument(
        "--moto", action="store_true", help="with the server that benchmarks compare ours with"
    )
    parser.add_argument("--audit", action="store_true", help="with what `workshop sbom` needs")
    arguments = parser.parse_args()
    try:
        setup(with_tests=arguments.tests, with_moto=arguments.moto, with_audit=arguments.audit)
    except SetupError as error:
        print(f"error: {error.args[0]}\n  fix: {error.args[1]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up interrupted: run it again, it goes on where it stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

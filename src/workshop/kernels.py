"""Make the Jupyter kernels that labs and jobs run in: one for each environment, by absolute path.

Try it:  python -m workshop.kernels
The kernels live in the state folder, so nothing in the user's own Jupyter folders is read or changed.
Inside an image there is no .venvs folder: there the running interpreter is the environment.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

from workshop.errors import JobError
from workshop.settings import Settings, load

KERNELS = {"workshop": "workshop", "mxnet": "workshop-mxnet"}  # environment: kernel
DISPLAY_NAMES = {"workshop": "Workshop (TensorFlow)", "mxnet": "Workshop (MXNet)"}
# What an environment holds that no other does; tells which one an image's interpreter is.
MARKS = {"workshop": "tensorflow", "mxnet": "mxnet"}


def interpreter(environment: str, root: Path) -> Path | None:
    """Find the Python of an environment: in .venvs, or the running one where there is no .venvs."""
    in_folder = root / ".venvs" / environment / "bin" / "python"
    if in_folder.exists():
        return in_folder
    if (root / ".venvs").is_dir():
        return None
    return Path(sys.executable) if importlib.util.find_spec(MARKS[environment]) else None


def require(environment: str, root: Path) -> Path:
    """Return the Python of an environment.

    Errors: JobError if it is not made here, or this image holds another environment.
    """
    if environment not in KERNELS:
        raise JobError(
            f"there is no environment '{environment}' (there are {', '.join(KERNELS)})",
            "mend metadata.workshop.environment in the notebook",
        )
    python = interpreter(environment, root)
    if python is None:
        raise JobError(f"environment '{environment}' is not made in {root / '.venvs'}", "make setup")
    return python


def install(root: Path, state_dir: Path | None = None) -> Path:
    """Write the kernel of each environment that exists; returns the folder for JUPYTER_PATH."""
    folder = (state_dir or root / ".workshop") / "jupyter"
    for environment in KERNELS:
        python = interpreter(environment, root)
        if python is not None:
            write(environment, python, folder / "kernels")
    return folder


def write(environment: str, python: Path, folder: Path) -> str:
    """Write one environment's kernel below a folder of kernels; returns the kernel's name."""
    name = KERNELS[environment]
    _write(folder / name / "kernel.json", _specification(environment, python))
    return name


def _specification(environment: str, python: Path) -> dict[str, object]:
    """Describe a kernel. The variables keep TensorFlow's and the debugger's start-up chatter out of the
    labs.
    """
    return {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": DISPLAY_NAMES[environment],
        "language": "python",
        "interrupt_mode": "signal",
        "metadata": {"debugger": True, "supported_encryption": ["curve"]},
        "env": {
            "PATH": f"{python.parent}{os.pathsep}${{PATH}}",
            # An image sets Agg, which would show figures as text.
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "TF_ENABLE_ONEDNN_OPTS": "1",
        },
    }


def _write(path: Path, content: dict[str, object]) -> None:
    """Write a file in one step, and only if it changes: JupyterLab and other runs may be reading it."""
    text = json.dumps(content, indent=1) + "\n"
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)


def main(settings: Settings | None = None) -> None:
    settings = settings or load()
    folder = install(settings.root, settings.state_dir)
    names = sorted(path.name for path in (folder / "kernels").iterdir())
    print(f"kernels ready: {', '.join(names)}")


if __name__ == "__main__":
    main()

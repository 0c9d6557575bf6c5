"""Become a Jupyter server in this container, open to whoever holds its token and to nobody else.

Try it:  JUPYTER_TOKEN=$(openssl rand -hex 16) workshop jupyter
The token comes from JUPYTER_TOKEN at run time, new for each task: an image or a task definition that held it
would show it to everyone who may read those. The process is replaced, so signals and exit code are Jupyter's.
Notebooks are copies in the container's own folder: whatever is done to them, the course's stay as they are.
"""

import argparse
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from workshop.errors import SettingsError
from workshop.health import bind_address

PORT = 8888
MIN_TOKEN_CHARACTERS = 16
FOLDER = "notebooks"


def command(environ: Mapping[str, str], folder: Path, port: int = PORT) -> list[str]:
    """Spell the command that serves a folder; SettingsError without a token that is worth the name."""
    token = environ.get("JUPYTER_TOKEN", "")
    if len(token) < MIN_TOKEN_CHARACTERS:
        found = "not set" if not token else f"only {len(token)} characters long"
        raise SettingsError(
            f"JUPYTER_TOKEN is {found}, and a Jupyter server runs any code it is sent: at least"
            f" {MIN_TOKEN_CHARACTERS} characters are needed",
            "export JUPYTER_TOKEN=$(openssl rand -hex 16)",
        )
    application = ["jupyterlab"] if importlib.util.find_spec("jupyterlab") else ["jupyter_server"]
    options = {
        "ServerApp.ip": bind_address(environ),
        "ServerApp.port": str(port),
        "ServerApp.port_retries": "0",  # another port would not be the one that ECS mapped
        "ServerApp.open_browser": "False",
        # A container may well be root's only user; the warning is for a person's own machine.
        "ServerApp.allow_root": "True",
        "ServerApp.root_dir": str(folder),
        # Looking for language servers fills the log with twenty that are not here.
        "LanguageServerManager.autodetect": "False",
        # Behind a mapped port the browser's Host is never ours, and the token is what guards the server.
        "ServerApp.allow_remote_access": "True",
        "PasswordIdentityProvider.allow_password_change": "False",
    }
    return [sys.executable, "-m", *application, *(f"--{name}={value}" for name, value in options.items())]


def own_copy(root: str, here: Path) -> Path:
    """Copy the course's notebooks into the container's folder and return the copy's place.

    A folder that is there already is kept: it holds what was done before the container was started again.
    """
    folder = here / FOLDER
    source = Path(root) / FOLDER
    if folder.exists():
        return folder
    if root and source.is_dir() and source.resolve() != folder.resolve():
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    else:
        folder.mkdir(parents=True)
    return folder


def main(
    arguments: Sequence[str] | None = None,
    become: Callable[[str, list[str], Mapping[str, str]], NoReturn] = os.execve,
) -> NoReturn:
    """Replace this process by the server; it returns only by an error."""
    parser = argparse.ArgumentParser(
        prog="workshop jupyter", description="a Jupyter server for this container"
    )
    parser.add_argument("--port", type=int, default=PORT, help="TCP port to listen on")
    options = parser.parse_args(arguments)
    environ = dict(os.environ)
    command(environ, Path())  # refuse before a folder is made
    folder = own_copy(environ.get("WORKSHOP_ROOT", ""), Path.cwd())
    # Jupyter's own files belong into the container's folder too, not into the home of whoever runs it.
    private = Path.cwd() / ".jupyter"
    environ.update(JUPYTER_CONFIG_DIR=str(private / "config"), JUPYTER_DATA_DIR=str(private / "data"))
    environ.update(JUPYTER_RUNTIME_DIR=str(private / "runtime"))
    sys.stdout.flush()
    become(sys.executable, command(environ, folder, options.port), environ)
    raise AssertionError("the process was not replaced")


if __name__ == "__main__":
    main()

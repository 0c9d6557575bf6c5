"""Open JupyterLab on the labs: on loopback, with a token of its own, the local AWS up, the course's
kernels ready.

Try it:  workshop lab
Jupyter's settings and state live in the state folder, so nothing of the user's own Jupyter is read or
changed.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path

from workshop import kernels, local
from workshop.batch import lab_variables
from workshop.errors import WorkshopError
from workshop.execution import merged
from workshop.records import write_json
from workshop.settings import Settings

LOOPBACK = "127.0.0.1"
START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 10
PORTS_TO_TRY = 50


def serve(settings: Settings, first_port: int, open_browser: bool) -> int:
    """Run JupyterLab until it is stopped; returns its exit status. Its kernels end with it."""
    if settings.target == "local":
        print(f"local AWS at {local.up(settings).endpoint}", flush=True)
    port, token = free_port(first_port), secrets.token_hex(24)
    process = subprocess.Popen(
        command(settings.root / "labs", port),
        env=environment(settings, token),
        start_new_session=True,  # Ctrl-C reaches us alone; we end Jupyter and its kernels in order
        preexec_fn=_die_with_parent,
    )
    try:
        address = f"http://{LOOPBACK}:{port}/lab?token={token}"
        _wait_until_ready(process, port, token)
        print(f"JupyterLab: {address}\nCtrl-C ends it", flush=True)
        if open_browser and sys.stdout.isatty():
            webbrowser.open(address)
        return process.wait()
    finally:
        _end(process)


def command(folder: Path, port: int) -> list[str]:
    """Spell JupyterLab's command line; the token is in its variables, where other users can't read it."""
    options = {
        "ServerApp.ip": LOOPBACK,
        "ServerApp.port": str(port),
        "ServerApp.port_retries": "0",
        "ServerApp.root_dir": str(folder),
        "ServerApp.open_browser": "False",
        "ServerApp.allow_root": "True",  # a container's only user; the server is on loopback and has a token
        "ServerApp.log_level": "ERROR",  # its advice is for administrators of servers
        "LabApp.log_level": "ERROR",
        "LabApp.news_url": "None",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",  # the other one asks a package registry
        "MappingKernelManager.transport_encryption": "auto",
        "MappingKernelManager.default_kernel_name": kernels.KERNELS["workshop"],
        "LanguageServerManager.autodetect": "False",
        "KernelSpecManager.ensure_native_kernel": "False",
        "KernelSpecManager.allowed_kernelspecs": repr(set(kernels.KERNELS.values())),
    }
    return [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]


def environment(settings: Settings, token: str) -> dict[str, str]:
    """Name the variables of JupyterLab and, through it, of every kernel."""
    private = settings.state_dir / "jupyter"
    _write_page(private / "config")
    return merged(
        {
            **lab_variables(settings),
            "JUPYTER_TOKEN": token,
            "JUPYTER_PATH": str(kernels.install(settings.root, settings.state_dir)),
            "JUPYTER_PREFER_ENV_PATH": "0",
            "JUPYTER_CONFIG_DIR": str(private / "config"),
            "JUPYTER_DATA_DIR": str(private / "data"),
            "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
            "IPYTHONDIR": str(private / "ipython"),
        }
    )


def _write_page(config_dir: Path) -> None:
    """Leave out JupyterLab's question whether it may fetch news: news_url alone does not silence it."""
    page = config_dir / "labconfig" / "page_config.json"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_json(page, {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}})


def free_port(first: int) -> int:
    """Find the first free port on loopback, at most fifty further on."""
    for port in range(first, min(first + PORTS_TO_TRY, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise WorkshopError(
        f"no port from {first} to {first + PORTS_TO_TRY - 1} is free", "workshop lab --jupyter-port 9000"
    )


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, token: str) -> None:
    """Return once the server answers; a server that ended, or does not answer in time, is an error."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    request = urllib.request.Request(
        f"http://{LOOPBACK}:{port}/api/status", headers={"Authorization": f"token {token}"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy between us and loopback
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise WorkshopError(f"JupyterLab ended with {process.returncode} at once", "its reason is above")
        try:
            with opener.open(request, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise WorkshopError(f"JupyterLab did not answer within {START_TIMEOUT_SECONDS} s", "workshop doctor")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End Jupyter politely, so that it ends its kernels; after ten seconds, not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _die_with_parent() -> None:
    """Ask the kernel (Linux) to end Jupyter when we are killed; its own kernels poll it and follow."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)

"""What a container's process sees: its arguments, its folder, its environment variables.

Try it:  python -m pytest tests/local/test_engine_process.py
Knows nothing of how processes are started. Nothing of the server's own environment gets in, save the names
in PASSED_ON.
"""

import posixpath
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from localaws.engine import CannotCreate, ContainerSpec, Volume

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def arguments(spec: ContainerSpec) -> list[str]:
    """Entry point and command as Docker joins them: an entry point of the task drops the image's command."""
    image_entry = list(spec.image_config.get("Entrypoint") or [])
    image_command = list(spec.image_config.get("Cmd") or [])
    if spec.entry_point:
        joined = [*spec.entry_point, *(spec.command or [])]
    else:
        joined = [*image_entry, *(spec.command or image_command)]
    if not joined:
        raise CannotCreate(f"No command specified: {spec.image} has neither ENTRYPOINT nor CMD")
    return joined


def working_directory(spec: ContainerSpec) -> PurePosixPath:
    return PurePosixPath(spec.working_directory or spec.image_config.get("WorkingDir") or "/")


def prepare_folder(spec: ContainerSpec, folder: Path) -> None:
    """Make the container's fresh folder: `work` stands for its working directory, volumes are links in it."""
    for name in ("work", "home", "tmp"):
        (folder / name).mkdir(parents=True)
    directory = working_directory(spec)
    for volume in spec.volumes:
        _link(volume, directory, folder / "work", spec.name)


def _link(volume: Volume, directory: PurePosixPath, work: Path, container: str) -> None:
    # Without a mount namespace a process can't have a folder at any absolute path, only under its own folder.
    inside = PurePosixPath(posixpath.normpath(volume.container_path))
    if inside == directory or not inside.is_relative_to(directory):
        raise CannotCreate(
            f"container {container}: mount point {inside} is not under the working directory {directory}, "
            "and the process engine can show volumes only there",
            f"mount it at {directory / inside.name}",
        )
    if not volume.source.exists():
        volume.source.mkdir(parents=True)  # as Docker does for a missing host path
    link = work / inside.relative_to(directory)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(volume.source, target_is_directory=True)


def variables(
    spec: ContainerSpec, folder: Path, environment: Path, address: str, passed_on: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment: the image's, then what is passed on, then the task's; PATH and HOME are ours."""
    pairs = (line.partition("=") for line in spec.image_config.get("Env") or [])
    merged = {"LANG": "C.UTF-8"} | {name: value for name, _, value in pairs} | dict(passed_on)
    merged |= {name: str(value) for name, value in spec.environment.items()}
    merged["PATH"] = f"{environment / 'bin'}:{merged.get('PATH') or SYSTEM_PATH}"
    if spec.base:
        merged[spec.base.variable] = str(spec.base.source)
    merged |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "WORKSHOP_BIND_ADDRESS": address}
    if spec.gpu_ids:
        merged["NVIDIA_VISIBLE_DEVICES"] = merged["CUDA_VISIBLE_DEVICES"] = ",".join(spec.gpu_ids)
    return merged

"""Every setting of the workshop, in one table: flag over `WORKSHOP_*` variable over default.

Try it:  workshop settings
The table SETTINGS makes the flags, the variables and the README's table. All bad values are reported at once.
Knows nothing of AWS: a region or a CIDR is only checked for its form.
"""

from __future__ import annotations

import contextlib
import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from workshop.errors import SettingsError

PREFIX = "WORKSHOP_"


@dataclass(frozen=True)
class Setting:
    """One line of the table. `also` names variables of others that are read when ours is absent."""

    name: str
    default: str
    unit: str
    help: str
    also: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


SETTINGS = (
    Setting("root", "found from the package", "folder", "the repository: labs, notebooks, templates"),
    Setting("target", "local", "local, aws", "where AWS calls go; aws is never chosen for you"),
    Setting("engine", "auto", "auto, process, docker", "what runs containers on the local AWS"),
    Setting("profile", "quick", "quick, full", "how long the labs train: seconds or minutes"),
    Setting("data_dir", "", "folder", "data you already have; read before the cache, never written"),
    Setting("cache_dir", "<root>/.workshop/cache", "folder", "verified downloads"),
    Setting("state_dir", "<root>/.workshop", "folder", "the local AWS's state, locks and logs"),
    Setting("runs_dir", "<root>/runs", "folder", "executed notebooks, reports, metrics"),
    Setting("port", "4566", "TCP port, 1-65535", "loopback port of the local AWS"),
    Setting(
        "metric_seconds",
        "5",
        "seconds, 0.5-60",
        "CloudWatch's minute on the local AWS: alarms and scaling run 60 / it times as fast as on AWS",
    ),
    Setting("region", "us-east-1", "AWS region", "any region", also=("AWS_REGION", "AWS_DEFAULT_REGION")),
    Setting("name", "workshop", "a-z, 0-9, -", "prefix of every stack: two courses fit in one account"),
    Setting("source_cidr", "", "IPv4 CIDR", "who may reach the instances on AWS: your address with /32"),
)


@dataclass(frozen=True)
class Settings:
    """Checked values; paths are absolute."""

    root: Path
    target: str
    engine: str
    profile: str
    data_dir: Path | None
    cache_dir: Path
    state_dir: Path
    runs_dir: Path
    port: int
    metric_seconds: float
    region: str
    name: str
    source_cidr: str

    def environment(self) -> dict[str, str]:
        """The same settings as variables, for a child process in any folder."""
        pairs = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {PREFIX + name.upper(): str(value) for name, value in pairs if value not in (None, "")}


class _Bad(ValueError):
    """What is wrong with one value, and what it should be."""


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text in allowed:
            return text
        near = difflib.get_close_matches(text.lower(), allowed, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise _Bad(f"expected one of {', '.join(allowed)}{hint}")

    return parse


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise _Bad("expected a whole number from 1 to 65535")
    if not 1 <= int(text) <= 65535:
        raise _Bad("expected a port from 1 to 65535")
    return int(text)


def _minute(text: str) -> float:
    expected = "expected seconds from 0.5 to 60"
    try:
        seconds = float(text)
    except ValueError:
        raise _Bad(expected) from None
    if not 0.5 <= seconds <= 60:
        raise _Bad(expected)
    return seconds


def _pattern(pattern: str, expected: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise _Bad(f"expected {expected}")
        return text

    return parse


def _cidr(text: str) -> str:
    if not text:
        return ""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise _Bad("expected an IPv4 range such as 203.0.113.7/32") from None
    if network.version != 4:
        raise _Bad("expected an IPv4 range such as 203.0.113.7/32")
    if network.prefixlen == 0:
        raise _Bad("that opens the instances to the whole internet; expected your own address with /32")
    return str(network)


def _folder(text: str, root: Path) -> Path:
    """Absolute path; a relative one counts from here or, where that does not exist, from the repository."""
    given = Path(text).expanduser()
    if not given.is_absolute() and not given.exists() and (root / given).exists():
        given = root / given
    folder = given.resolve()
    found = next(path for path in (folder, *folder.parents) if path.exists())
    if not found.is_dir():
        raise _Bad(f"expected a folder, found a file{'' if found == folder else f': {found}'}")
    return folder


def _existing_folder(text: str, root: Path) -> Path | None:
    if not text:
        return None
    folder = _folder(text, root)
    if not folder.is_dir():
        raise _Bad(f"the folder does not exist (looked for {folder})")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise _Bad(f"the folder {folder} may not be read")
    return folder


_WORDS: dict[str, Callable[[str], Any]] = {
    "target": _choice("local", "aws"),
    "engine": _choice("auto", "process", "docker"),
    "profile": _choice("quick", "full"),
    "port": _port,
    "metric_seconds": _minute,
    "region": _pattern(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}", "a region such as us-east-1"),
    "name": _pattern(
        r"[a-z][a-z0-9-]{0,18}[a-z0-9]", "2 to 20 of a-z, 0-9 and -, a letter first, no - at the end"
    ),
    "source_cidr": _cidr,
}
_FOLDERS: dict[str, Callable[[str, Path], Any]] = {
    "data_dir": _existing_folder,
    "cache_dir": _folder,
    "state_dir": _folder,
    "runs_dir": _folder,
}


def load(environ: Mapping[str, str] | None = None, **flags: object) -> Settings:
    """Read the settings; a flag that is None was not given.

    Errors: SettingsError that names every bad value, where it came from and what was expected.
    """
    given = {name: (value, origin) for name, value, origin in _given(environ, flags)}
    root = _root(*given["root"])
    values: dict[str, Any] = {"root": root}
    problems, mend = [], []
    for setting in SETTINGS[1:]:
        text, origin = given[setting.name]
        text = text.replace("<root>", str(root))
        try:
            if setting.name in _FOLDERS:
                values[setting.name] = _FOLDERS[setting.name](text, root)
            else:
                values[setting.name] = _WORDS[setting.name](text)
        except _Bad as bad:
            problems.append(f"{origin} is '{text}': {bad}")
            mend.append(origin)
    if problems:
        raise SettingsError(
            "; ".join(problems),
            f"mend or leave out {', '.join(mend)} (workshop settings --help lists them all)",
        )
    return Settings(**values)


def origins(environ: Mapping[str, str] | None = None, **flags: object) -> dict[str, str]:
    """Where each setting's value comes from: a flag, a variable's name, or 'default'."""
    return {name: origin for name, _, origin in _given(environ, flags)}


@contextlib.contextmanager
def in_environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set this process's variables, None for one that shall not be there, and put them back afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def misspelled(environ: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """(variable that is set, variable that was probably meant) for near misses such as WORKSHOP_DATADIR."""
    environ = os.environ if environ is None else environ
    known = [setting.variable for setting in SETTINGS]
    found = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
            found += [(name, near[0])] if near else []
    return found


def _given(environ: Mapping[str, str] | None, flags: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """(name, text, origin) of every setting; an empty variable counts as not set."""
    environ = os.environ if environ is None else environ
    names = [setting.name for setting in SETTINGS]
    unknown = sorted(set(flags) - set(names))
    if unknown:
        near = difflib.get_close_matches(unknown[0], names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "workshop settings"
        raise SettingsError(f"there is no setting '{unknown[0]}'", hint)
    rows = []
    for setting in SETTINGS:
        flag = flags.get(setting.name)
        variable = next((v for v in (setting.variable, *setting.also) if environ.get(v)), None)
        if flag is not None:
            rows.append((setting.name, str(flag), setting.flag))
        elif variable:
            rows.append((setting.name, environ[variable].strip(), variable))
        else:
            rows.append((setting.name, setting.default, "default"))
    return rows


def _root(text: str, origin: str) -> Path:
    if origin != "default":
        root = Path(text).expanduser().resolve()
        if not root.is_dir():
            raise SettingsError(
                f"{origin} is '{text}': the folder does not exist",
                f"leave {origin} out, or name the folder you cloned",
            )
        return root
    found = Path(__file__).resolve().parents[2]
    if (found / "pyproject.toml").is_file():
        return found
    raise SettingsError(
        "the workshop's folder (labs, notebooks, templates) can't be found from the installed package",
        "export WORKSHOP_ROOT=<the folder you cloned>",
    )

"""Change one of ministack's modules as soon as something imports it.

Try it:  grep -rn after_import src/localaws
ministack imports a service with the first request for it, which keeps the server's start short; a hook that
imported the service itself would take that away. Knows no service.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Change = Callable[[Any], None]


def after_import(name: str, change: Change) -> None:
    """Call `change` with the module, now if it is imported already, else before its importer goes on."""
    if name in sys.modules:
        change(sys.modules[name])
        return
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _waiting.setdefault(name, []).append(change)


_waiting: dict[str, list[Change]] = {}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds as the path does, and has the loader call what waits for the module."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _waiting:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader, execute = spec.loader, spec.loader.exec_module

            def execute_and_change(module: ModuleType) -> None:
                execute(module)
                for change in _waiting.pop(name, []):
                    change(module)

            loader.exec_module = execute_and_change  # type: ignore[method-assign]
        return spec

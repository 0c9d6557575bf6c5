"""Everything that is hooked into ministack, in the order in which it must happen.

Try it:  grep -n install src/localaws/additions.py
Knows only the order; each hook lives in the module that its name says and is held by a contract test.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from localaws import ecs, registry
from localaws import engine as engines
from localaws.front import EMULATED, Application, Front
from localaws.lint import Linter
from localaws.server import Options
from localaws.snapshots import Snapshots, restore, take_over


@dataclass
class Installed:
    """What the server needs of the additions."""

    application: Application
    engine: engines.Engine
    snapshots: Snapshots
    linter: Linter

    async def start(self) -> None:
        """Once requests are answered: bring back what the last server left."""
        await asyncio.to_thread(ecs.recover)
        self._task = asyncio.create_task(self.snapshots.run())
        self.snapshots.changed()

    async def stop(self, keep: bool = True) -> None:
        """Before the last state is written, if it is kept: end what runs."""
        await asyncio.to_thread(ecs.close)
        await asyncio.to_thread(self.engine.stop_all)
        self.linter.close()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if keep:
            await self.snapshots.take()


def install(options: Options, environment: Mapping[str, str]) -> Installed:
    """Import ministack, hook everything in, and say what to serve.

    environment: the one that the server was started with, of which an engine gives a little on to tasks.
    """
    restore(options.folder)
    import ministack.app

    from localaws import groups, late, objectevents, parameters, tags, templates

    passed_on = {name: environment[name] for name in engines.PASSED_ON if name in environment}
    engine = engines.create(
        options.engine, options.folder / "engine", options.environments, passed_on, options.endpoint
    )
    # At its import it warns that Sign and Verify are missing; that is on our list, and no news in the log.
    logging.getLogger("kms").setLevel(logging.ERROR)
    take_over(EMULATED)
    late.postpone()
    groups.install()
    objectevents.install()
    parameters.install()
    tags.install()
    registry.install(options.endpoint, options.folder / "layers")
    ecs.install(engine, endpoint=options.endpoint, region=options.region)
    linter = Linter()
    templates.install(linter, late.load)
    snapshots = Snapshots(options.folder, is_busy=_tasks_run)
    front = Front(ministack.app.app, snapshots.changed)
    return Installed(front, engine, snapshots, linter)


def _tasks_run() -> bool:
    """Whether tasks change state and write logs without a request."""
    from ministack.services import ecs

    return any(task.get("lastStatus") != "STOPPED" for task in ecs._tasks.all_values())

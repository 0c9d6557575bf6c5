"""Everything that is hooked into ministack, in the order in which it must happen.

Try it:  grep -n install src/localaws/additions.py
Knows only the order; each hook lives in the module that its name says and is held by a contract test.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from localaws import engine as engines
from localaws import identity
from localaws.alarms.watch import Watch
from localaws.cloudformation.lint import Linter
from localaws.ecs import groups
from localaws.ecs import hooks as ecs
from localaws.ecs.execute_channel import DataChannels
from localaws.front import EMULATED, Application, Front
from localaws.identity import managed_policies
from localaws.identity.registry import admits
from localaws.loadbalancer import hooks as loadbalancer
from localaws.registry import calls as registry
from localaws.registry.bodies import Bodies
from localaws.registry.layercache import LayerCache
from localaws.sagemaker import hooks as sagemaker
from localaws.server import ACCOUNT_ID, Options
from localaws.snapshots import Snapshots, restore, take_over


@dataclass
class Installed:
    """What the server needs of the additions."""

    application: Application
    engine: engines.Engine
    load_balancers: loadbalancer.LoadBalancers
    snapshots: Snapshots
    linter: Linter
    learner_policy: identity.Policy | None
    managed_policies: dict[str, identity.Policy | None]
    learner_attached: tuple[str, ...]
    alarms: Watch
    sagemaker: sagemaker.SageMaker

    async def start(self) -> None:
        """Once requests are answered: bring back what the last server left."""
        managed_policies.put(ACCOUNT_ID, self.managed_policies)
        identity.admit_learner(ACCOUNT_ID, self.learner_policy, self.learner_attached)
        await asyncio.to_thread(self.load_balancers.start)
        await asyncio.to_thread(ecs.recover)
        await asyncio.to_thread(self.sagemaker.start)
        self.alarms.start()
        self._task = asyncio.create_task(self.snapshots.run())
        self.snapshots.changed()

    async def stop(self, keep: bool = True) -> None:
        """Before the last state is written, if it is kept: end what runs."""
        await asyncio.to_thread(self.alarms.close)
        await asyncio.to_thread(self.sagemaker.close)
        await asyncio.to_thread(ecs.close)
        await asyncio.to_thread(self.engine.stop_all)
        await asyncio.to_thread(self.load_balancers.close)
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
    learner_policy = identity.read_policy(options.learner_policy)
    managed = {name: managed_policies.read(path) for name, path in options.managed_policies.items()}
    managed_policies.expect(options.learner_attached, managed)
    restore(options.folder)
    import ministack.app

    from localaws import front, objectevents, pages, parameters, tags
    from localaws.alarms import hooks as alarms
    from localaws.alarms import records as alarm_records
    from localaws.cloudformation import late, resource_rights, templates
    from localaws.ecs import answers as ecs_answers
    from localaws.registry import images as ecr_images
    from localaws.restapis import hooks as restapis
    from localaws.scaling import hooks as scaling

    passed_on = {name: environment[name] for name in engines.PASSED_ON if name in environment}
    engine = engines.create(
        options.engine, options.folder / "engine", options.environments, passed_on, options.endpoint
    )
    # At its import it warns that Sign and Verify are missing; that is on our list, and no news in the log.
    logging.getLogger("kms").setLevel(logging.ERROR)
    take_over(EMULATED)
    front.close_others()
    _install_identity(options)
    late.postpone()
    groups.install()
    objectevents.install()
    parameters.install()
    tags.install()
    pages.install()
    ecr_images.install()
    uploads = registry.install(options.endpoint, options.folder, LayerCache(options.layer_cache))
    balancers = loadbalancer.install(options.metric_seconds)
    ecs_tasks = ecs.install(engine, options.endpoint, options.region, options.metric_seconds)
    ecs_answers.install()
    watch = alarms.install(options.metric_seconds)
    scaling.install(watch)
    restapis.install(options.metric_seconds)
    linter = Linter()
    resource_rights.install()
    templates.install(linter, late.load)
    snapshots = Snapshots(options.folder, is_busy=lambda: _tasks_run() or sagemaker_areas.is_busy())
    sagemaker_areas = sagemaker.install(
        engine,
        options.endpoint,
        options.region,
        options.metric_seconds,
        options.algorithms,
        snapshots.changed,
    )
    alarm_records.on_change.append(lambda alarm, before, state: snapshots.changed())
    shells = DataChannels(Bodies(ministack.app.app, uploads, admits), ecs_tasks.execute.claim)
    application = Front(shells, snapshots.changed)
    attached = options.learner_attached
    return Installed(
        application,
        engine,
        balancers,
        snapshots,
        linter,
        learner_policy,
        managed,
        attached,
        watch,
        sagemaker_areas,
    )


def _install_identity(options: Options) -> None:
    from localaws.identity import decisions, functions, reading, requests
    from localaws.identity import registry as logins

    identity.install()
    reading.install()
    requests.install()
    functions.install()
    logins.install()
    if options.record_decisions or decisions.has_begun(options.folder):
        decisions.record(options.folder)


def _tasks_run() -> bool:
    """Whether tasks change state and write logs without a request."""
    from ministack.services import ecs

    return any(task.get("lastStatus") != "STOPPED" for task in ecs._tasks.all_values())

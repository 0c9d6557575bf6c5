"""Alarms, and what scales by them, outlive their server."""

import signal
from collections.abc import Callable
from pathlib import Path

from alarm_world import MINUTE, Metric
from conftest import client_of
from ecs_world import World, furnished, wait_until
from scaling_world import Scaled

from localaws import daemon


def test_state_and_history_outlive_the_server(start: Callable[..., daemon.Running], tmp_path: Path) -> None:
    before = Metric(client_of(start(metric_seconds=60.0), "cloudwatch"), "kept")
    before.alarm(TreatMissingData="ignore")
    before.cloudwatch.set_alarm_state(AlarmName="kept", StateValue="ALARM", StateReason="by hand")
    daemon.stop(tmp_path)
    after = Metric(client_of(start(metric_seconds=60.0), "cloudwatch"), "kept")
    assert after.described()["StateReason"] == "by hand"
    assert len(after.history()) == 1


def test_targets_policies_and_activities_outlive_a_killed_server(tmp_path: Path) -> None:
    made = World(tmp_path)
    made.options = ["--metric-seconds", str(MINUTE)]
    with furnished(made):
        before = Scaled(made, made.client("application-autoscaling"), "kept")
        before.register(2, 3)
        before.follow()
        kept = (before.activities()[0]["ActivityId"], before.alarm("AlarmHigh")["AlarmName"])
        snapshot = tmp_path / "localaws" / "snapshot"
        for name, what in zip(("application_autoscaling", "cloudwatch"), kept, strict=True):
            wait_until(
                lambda file=snapshot / f"{name}.json", what=what: file.exists() and what in file.read_text()
            )
        made.stop(signal.SIGKILL)
        made.start()
        assert (before.activities()[0]["ActivityId"], before.alarm("AlarmHigh")["AlarmName"]) == kept
        before.until(3, 250)

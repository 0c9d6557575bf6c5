"""The clock of alarms: every minute of CloudWatch's, a look at each alarm's metric.

Try it:  workshop up; aws cloudwatch describe-alarms
Alarms with a period of 10, 20 or 30 seconds are looked at every so many. Knows nothing of what alarms do.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from localaws.alarms import actions, datapoints, records
from localaws.alarms.definitions import rule
from localaws.alarms.evaluator import Datapoint, Verdict, evaluate, reason
from localaws.alarms.records import Alarm

logger = logging.getLogger("localaws.alarms")
SHORTEST_PERIOD = 10
Key = tuple[str, str, str]  # account, region, name


class Watch:
    """Looks at alarms when they are due. metric_seconds: how long a minute is; clock: seconds since the epoch."""

    def __init__(self, metric_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self.metric_seconds = metric_seconds
        self.clock = clock
        # What somebody wants to be called with before each look: (now).
        self.before_look: list[Callable[[float], None]] = []
        self._looked: dict[Key, float] = {}
        self._closed = threading.Event()

    def start(self) -> None:
        """Look, until closed, on a thread of its own."""
        threading.Thread(target=self._run, name="cloudwatch-alarms", daemon=True).start()

    def close(self) -> None:
        """Look no more; whatever is at work ends first."""
        self._closed.set()
        with records.one_at_a_time:
            pass

    def _run(self) -> None:
        step = datapoints.seconds_of(SHORTEST_PERIOD, self.metric_seconds)
        while not self._closed.wait(step - self.clock() % step):
            try:
                self.look()
            except Exception:
                logger.exception("a look at the alarms")

    def look(self) -> None:
        """Judge every alarm, of every account and region, that has a new period to judge."""
        from ministack.core.responses import request_scope
        from ministack.services import cloudwatch

        now = self.clock()
        for call in self.before_look:
            call(now)
        alarms = cloudwatch._alarms.all_items()
        for key, alarm in alarms:
            if self._closed.is_set():
                return
            end = datapoints.last_end(now, alarm["Period"], self.metric_seconds)
            # An alarm with another definition is judged anew at once.
            if self._looked.get(key) == end + alarm.get("AlarmConfigurationUpdatedTimestamp", 0):
                continue
            self._looked[key] = end + alarm.get("AlarmConfigurationUpdatedTimestamp", 0)
            with request_scope(key[0], key[1]):
                try:
                    self.judge(alarm, end, now)
                except Exception:
                    logger.exception("alarm %s", alarm["AlarmName"])
        for gone in set(self._looked) - {key for key, _ in alarms}:
            del self._looked[gone]

    def judge(self, alarm: Alarm, end: float, now: float) -> None:
        """Give one alarm the state that its data points have at the end of a period."""
        judged_by = rule(alarm)
        periods = datapoints.read(alarm, end, judged_by.evaluation_range, self.metric_seconds)
        verdict = evaluate(periods, judged_by)
        if verdict.state in (None, alarm["StateValue"]):
            actions.act_again(alarm)
            return
        said = reason(verdict, judged_by)
        records.change_state(alarm, str(verdict.state), said, _reason_data(alarm, verdict, periods, now), now)


def _reason_data(
    alarm: Alarm, verdict: Verdict, periods: list[Datapoint | None], now: float
) -> dict[str, Any]:
    """AWS's StateReasonData: what was looked at, oldest first, and what it rests on, newest first."""
    found: dict[str, Any] = {"version": "1.0", "queryDate": records.day(now, "+0000")}
    if verdict.points:
        found["startDate"] = records.day(verdict.points[0].start, "+0000")
    if alarm.get("Unit"):
        found["unit"] = alarm["Unit"]
    found |= {
        "statistic": alarm.get("ExtendedStatistic") or alarm.get("Statistic"),
        "period": alarm["Period"],
        "recentDatapoints": [each.value for each in verdict.points],
        "threshold": alarm["Threshold"],
    }
    evaluated = [
        {
            "timestamp": records.day(each.start, "+0000"),
            "sampleCount": each.sample_count,
            "value": each.value,
        }
        for each in reversed(verdict.points)
    ]
    return {**found, "evaluatedDatapoints": evaluated}

"""Alarms in ministack's CloudWatch: what is put in the place of its evaluation, and when it runs.

Try it:  python -m pytest tests/local/test_alarms.py
ministack judges alarms when somebody puts data, over all dimensions together. Knows only what is hooked where.
"""

from localaws.alarms import actions, records
from localaws.alarms.calls import Calls
from localaws.alarms.retention import Retention
from localaws.alarms.watch import Watch


def install(metric_seconds: float) -> Watch:
    """Take over, and return what has the clock; it begins with `start`."""
    from ministack.services import cloudwatch

    watch, retention = Watch(metric_seconds), Retention(metric_seconds)
    Calls(watch.clock).install()
    retention.install()
    watch.before_look.append(retention.look)
    records.on_change.append(actions.act)
    cloudwatch._evaluate_alarm = lambda alarm: None
    cloudwatch._evaluate_all_alarms = lambda: None
    # Composite alarms are ministack's; what they do then is ours.
    cloudwatch._dispatch_alarm_actions = lambda alarm, before, state, reason: actions.act(
        alarm, before, state
    )
    return watch

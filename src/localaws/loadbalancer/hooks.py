"""Load balancers, put together: the calls, the process that carries requests, the metrics.

Try it:  grep -n loadbalancer src/localaws/additions.py
Nothing runs before there is a listener. Knows no more than who tells whom.
"""

import time

from localaws.loadbalancer import calls, hostroute, records, tagging, targets
from localaws.loadbalancer.datapath import DataPath
from localaws.loadbalancer.minutes import Minutes


class LoadBalancers:
    """What runs for all load balancers."""

    def __init__(self, metric_seconds: float) -> None:
        self.data_path = DataPath(
            _note_health, lambda minute, counts: self.minutes.publish(minute, counts), _drained
        )
        self.minutes = Minutes(metric_seconds, self.data_path.take)

    def start(self) -> None:
        """After records are restored: their listeners open, targets are checked anew."""
        self.data_path.start()
        self.minutes.start()

    def close(self) -> None:
        """No process and no port is left."""
        self.minutes.close()
        self.data_path.close()


def install(metric_seconds: float) -> LoadBalancers:
    """Take the place of ministack's load balancers; once a process, after ministack is imported."""
    installed = LoadBalancers(metric_seconds)
    records.on_change.append(installed.data_path.changed)
    calls.install(installed.data_path)
    hostroute.install()
    tagging.install()
    return installed


def _note_health(group_arn: str, address: str, port: int, state: str, reason: str, description: str) -> None:
    targets.checked[group_arn, address, port] = (state, reason, description)


def _drained() -> float | None:
    """Seconds until the next target has drained; takes away those that have."""
    with records.changing:
        times = [targets.forget_drained(each["TargetGroupArn"]) for each in records.everywhere("targetgroup")]
    first = min((each for each in times if each is not None), default=None)
    return None if first is None else max(first - time.time(), 0.0) + 0.01

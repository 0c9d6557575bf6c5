"""What an alarm does to a service, minute by minute: cooldowns, bounds, several answers. Nothing waits or runs."""

import pytest

from localaws import metrics
from localaws.scaling import services, tracking
from localaws.scaling.acting import TRACKING, Scaler
from localaws.scaling.activities import Activities
from localaws.scaling.services import Counts
from localaws.scaling.store import Store

RESOURCE = "service/c/s"
TARGET_VALUE = 100.0


class World:
    """A service that obeys, a policy on it, a clock that a test moves; minutes are sixty seconds long."""

    def __init__(self) -> None:
        self.now = 6000.0
        self.tasks: int | None = 1
        self.problem = ""
        self.store = Store()
        self.activities = Activities(self.store)
        self.scaler = Scaler(self.store, self.activities, 60.0, lambda: self.now)
        self.target = {"ResourceId": RESOURCE, "MinCapacity": 1, "MaxCapacity": 10, "SuspendedState": {}}
        self.store.targets[RESOURCE] = self.target
        self.policy = {
            "ResourceId": RESOURCE,
            "PolicyName": "p",
            "PolicyARN": "arn:p",
            TRACKING: {
                "TargetValue": TARGET_VALUE,
                "ScaleOutCooldown": 180,
                "ScaleInCooldown": 180,
                "CustomizedMetricSpecification": {"Namespace": "N", "MetricName": "M", "Statistic": "Sum"},
            },
        }
        made = tracking.alarms(self.policy, {"AlarmHigh": "1", "AlarmLow": "2"})
        self.policy["_alarms"] = {side: each["AlarmName"] for side, each in made.items()}
        self.store.policies[(RESOURCE, "p")] = self.policy
        self.alarms = {side: {**each, "StateValue": "ALARM"} for side, each in made.items()}

    def minute(self, value: float, side: str) -> int | None:
        """A minute with this value goes by, and an alarm that is on acts; how many tasks there shall be then."""
        metrics.put("N", "M", {}, metrics.minute_of(self.now, 60), value)
        self.now += 60
        self.scaler.act("arn:p", self.alarms[side])
        return self.tasks

    def out(self, value: float) -> int | None:
        return self.minute(value, "AlarmHigh")

    def into(self, value: float) -> int | None:
        return self.minute(value, "AlarmLow")

    def said(self) -> list[str]:
        return [each["StatusCode"] for each in self.store.activities.get(RESOURCE) or []]


@pytest.fixture
def world(monkeypatch):
    from ministack.core.responses import AccountRegionScopedDict
    from ministack.services import cloudwatch

    for name in ("_metrics", "_alarms", "_composite_alarms"):
        monkeypatch.setattr(cloudwatch, name, AccountRegionScopedDict())
    made = World()
    made.now += 13  # the minute before is over, and its points have been put
    for alarm in made.alarms.values():
        cloudwatch._alarms[alarm["AlarmName"]] = alarm

    def set_desired(resource_id: str, count: int) -> str:
        made.tasks = made.tasks if made.problem else count
        return made.problem

    monkeypatch.setattr(
        services,
        "counts",
        lambda resource_id: None if made.tasks is None else Counts(made.tasks, made.tasks),
    )
    monkeypatch.setattr(services, "set_desired", set_desired)
    return made


def test_in_a_cooldown_the_new_tasks_count_and_only_a_larger_answer_moves_further(world):
    assert world.out(250) == 3
    assert world.out(250) == 3  # the load of one task still, divided among one: the others are about to come
    assert world.out(600) == 6
    world.now += 180
    assert world.out(150) == 9


def test_scaling_in_waits_for_its_cooldown(world):
    world.tasks = 5
    assert [world.into(1) for _ in range(5)] == [4, 4, 4, 3, 3]


def test_scaling_out_does_not_wait_for_the_cooldown_of_scaling_in_and_ends_it(world):
    world.tasks = 3
    assert world.into(1) == 2
    assert world.out(150) == 3
    assert world.into(1) == 2


@pytest.mark.parametrize(
    ("tasks", "value", "side", "wanted"), [(9, 300, "AlarmHigh", 10), (1, 0, "AlarmLow", 1)]
)
def test_no_policy_leaves_the_bounds(world, tasks, value, side, wanted):
    world.tasks = tasks
    assert world.minute(value, side) == wanted


def test_what_can_not_be_done_is_said_once_and_tried_again(world):
    world.problem = "Service was not ACTIVE"
    assert [world.out(250) for _ in range(3)] == [1, 1, 1]
    assert world.said() == ["Failed"]
    [failed] = world.store.activities.get(RESOURCE)
    assert failed["StatusMessage"] == "Failed to set desired count to 3. Reason: Service was not ACTIVE"
    world.problem = ""
    assert world.out(250) == 3


def test_nothing_to_do_is_said_once(world):
    world.tasks = 10
    for _ in range(3):
        world.out(250)
    [only] = world.store.activities.get(RESOURCE)
    assert only["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 10}]


def test_a_service_that_is_gone_is_not_set(world):
    world.tasks = None
    assert world.out(250) is None
    assert world.said() == ["Failed"]


def test_an_activity_ends_when_the_tasks_run_and_the_next_one_overrides_it(world, monkeypatch):
    world.out(250)
    monkeypatch.setattr(services, "counts", lambda resource_id: Counts(world.tasks, 1))
    world.activities.look(world.now)
    assert world.said() == ["InProgress"]
    world.out(600)
    assert world.said() == ["InProgress", "Overridden"]
    monkeypatch.setattr(services, "counts", lambda resource_id: Counts(6, 6))
    world.activities.look(world.now + 5)
    newest = world.store.activities.get(RESOURCE)[0]
    assert newest["StatusCode"] == "Successful"
    assert newest["EndTime"] == world.now + 5


def test_cooldowns_are_in_cloudwatchs_seconds(world):
    world.scaler.metric_seconds = 5.0
    world.scaler._set(world.target, 1, 3, "by hand")
    assert world.scaler._after(60) == world.now + 5
    assert world.scaler._after(None) == world.now + 25

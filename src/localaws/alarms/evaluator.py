"""What state an alarm's data points give it, and AWS's sentence for it: datapoints in, verdict out.

Try it:  python -m pytest tests/fast/test_alarm_evaluator.py
The rules are those of the CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data", with its
section on premature transitions; the tests are that page's tables. Knows no clock, no store and no alarm's name.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
# AWS looks at more points than it evaluates, so that single gaps don't count. How many more, it doesn't publish;
# its page's example has an evaluation range of 5 for 3 periods.
FURTHER_PERIODS = 2
COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True)
class Datapoint:
    """A period's statistic. start: seconds since the epoch."""

    start: float
    value: float
    sample_count: float = 1.0


@dataclass(frozen=True)
class Rule:
    """When an alarm goes off. missing: what TreatMissingData says."""

    evaluation_periods: int
    datapoints_to_alarm: int
    comparison: str
    threshold: float
    missing: str = "missing"

    @property
    def evaluation_range(self) -> int:
        """How many periods are looked at."""
        return self.evaluation_periods + FURTHER_PERIODS

    def breaches(self, value: float) -> bool:
        """Whether a value is on the wrong side of the threshold."""
        return COMPARISONS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True)
class Verdict:
    """A state and what it rests on. state: None to keep the one there is. filled: missing points that counted."""

    state: str | None
    points: tuple[Datapoint, ...] = ()
    filled: int = 0


def evaluate(periods: Sequence[Datapoint | None], rule: Rule) -> Verdict:
    """Judge the evaluation range. periods: oldest first, None where a period has no data."""
    real = tuple(each for each in periods if each is not None)[-rule.evaluation_periods :]
    filled = rule.evaluation_periods - len(real)
    breaching = sum(rule.breaches(each.value) for each in real)
    if not real:
        states = {"breaching": ALARM, "notBreaching": OK, "ignore": None}
        return Verdict(states.get(rule.missing, INSUFFICIENT_DATA), (), filled)
    if rule.missing == "breaching":
        breaching += filled
    if breaching >= rule.datapoints_to_alarm:
        return Verdict(ALARM, real, filled)
    if not filled or rule.missing in ("breaching", "notBreaching") or breaching < len(real):
        return Verdict(OK, real, filled)
    # Too few points, and each of them breaches: no reason for OK, and not yet one for ALARM.
    if rule.missing == "missing" and _is_old_enough(periods, rule):
        return Verdict(ALARM, real, filled)
    return Verdict(None, real, filled)


def _is_old_enough(periods: Sequence[Datapoint | None], rule: Rule) -> bool:
    """Whether the oldest of the breaching points is at least as old as "Datapoints to Alarm"."""
    oldest = next(age for age, each in enumerate(periods) if each is not None)
    return len(periods) - oldest >= rule.datapoints_to_alarm


def reason(verdict: Verdict, rule: Rule) -> str:
    """The alarm's StateReason, in AWS's words."""
    if verdict.state == INSUFFICIENT_DATA:
        return f"Insufficient Data: {_count(verdict.filled)} {_was(verdict.filled)} unknown."
    treated = "Breaching" if rule.missing == "breaching" else "NonBreaching"
    counts = rule.missing in ("breaching", "notBreaching") and verdict.filled
    missing = f"{verdict.filled} missing datapoint{_plural(verdict.filled)} {_was(verdict.filled)}"
    missing = f"{missing} treated as [{treated}]"
    if not verdict.points:
        periods = f"{verdict.filled} period{_plural(verdict.filled)}"
        return f"Threshold Crossed: no datapoints were received for {periods} and {missing}."
    to_alarm = verdict.state == ALARM
    shown = [each for each in reversed(verdict.points) if rule.breaches(each.value) is to_alarm]
    points = ", ".join(f"{number(each.value)} ({_day(each.start)})" for each in shown)
    compared = f"{'' if to_alarm else 'not '}{COMPARISONS[rule.comparison][1]}"
    sentence = f"{len(shown)} out of the last {_count(len(verdict.points))} [{points}] {_was(len(shown))} "
    sentence += f"{compared} the threshold ({number(rule.threshold)})" + (f" and {missing}" if counts else "")
    least = rule.datapoints_to_alarm
    least = least if to_alarm else rule.evaluation_periods - least + 1
    change = "OK -> ALARM" if to_alarm else "ALARM -> OK"
    return f"Threshold Crossed: {sentence} (minimum {_count(least)} for {change} transition)."


def number(value: float) -> str:
    """A number as CloudWatch writes it: 3.0, 1.0E7."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    mantissa, _, exponent = f"{value:.15E}".partition("E")
    return f"{float(mantissa)!r}E{int(exponent)}"


def _day(start: float) -> str:
    return datetime.fromtimestamp(start, UTC).strftime("%d/%m/%y %H:%M:%S")


def _count(number: int) -> str:
    return f"{number} datapoint{_plural(number)}"


def _plural(number: int) -> str:
    return "" if number == 1 else "s"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"

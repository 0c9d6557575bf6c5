"""Alarms are judged as the tables of the CloudWatch user guide say ("Configuring how CloudWatch alarms treat missing
data")."""

import pytest

from localaws.alarms.evaluator import Datapoint, Rule, Verdict, evaluate, number, reason

THRESHOLD = 10.0
MISSING = ("missing", "ignore", "breaching", "notBreaching")
NAMES = {"OK": "OK", "ALARM": "ALARM", "NO DATA": "INSUFFICIENT_DATA", "KEEP": None}


def points(drawn: str) -> list[Datapoint | None]:
    """The guide's drawing: 0 does not breach, X does, - is missing; the newest is on the right."""
    values = {"0": 5.0, "X": 15.0}
    return [
        Datapoint(60.0 * i, values[each]) if each in values else None for i, each in enumerate(drawn.split())
    ]


def rule(
    needed: int = 3, periods: int = 3, missing: str = "missing", comparison: str = "GreaterThanThreshold"
):
    return Rule(periods, needed, comparison, THRESHOLD, missing)


@pytest.mark.parametrize(
    ("needed", "drawn", "filled", "states"),
    [
        (3, "0 - X - X", 0, ("OK", "OK", "OK", "OK")),
        (3, "0 - - - -", 2, ("OK", "OK", "OK", "OK")),
        (3, "- - - - -", 3, ("NO DATA", "KEEP", "ALARM", "OK")),
        (3, "0 X X - X", 0, ("ALARM", "ALARM", "ALARM", "ALARM")),
        (3, "- - X - -", 2, ("ALARM", "KEEP", "ALARM", "OK")),
        (2, "0 - X - X", 0, ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 0 X 0 X", 0, ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 - X - -", 1, ("OK", "OK", "ALARM", "OK")),
        (2, "- - - - 0", 2, ("OK", "OK", "ALARM", "OK")),
        (2, "- - - X -", 2, ("ALARM", "KEEP", "ALARM", "OK")),
    ],
)
def test_the_guides_tables_hold(needed, drawn, filled, states):
    for missing, state in zip(MISSING, states, strict=True):
        verdict = evaluate(points(drawn), rule(needed, missing=missing))
        assert (missing, verdict.state) == (missing, NAMES[state])
        assert verdict.filled == filled


@pytest.mark.parametrize("drawn", ["- - - - X", "- - - X -", "- - - X X"])
def test_a_few_breaching_points_after_a_gap_are_no_alarm_yet(drawn):
    assert evaluate(points(drawn), rule(3)).state is None


def test_three_of_three_goes_off_with_the_third_point_and_recovers_with_one():
    assert evaluate(points("0 0 0 X X"), rule()).state == "OK"
    assert evaluate(points("0 0 X X X"), rule()).state == "ALARM"
    assert evaluate(points("0 X X X 0"), rule()).state == "OK"


def test_points_older_than_the_periods_are_left_alone_where_none_is_missing():
    assert evaluate(points("X X 0 0 0"), rule(1)).state == "OK"
    assert evaluate(points("X X 0 0 0"), rule(1)).points == tuple(points("X X 0 0 0")[2:])


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanThreshold", {11.0}),
        ("GreaterThanOrEqualToThreshold", {10.0, 11.0}),
        ("LessThanThreshold", {9.0}),
        ("LessThanOrEqualToThreshold", {9.0, 10.0}),
    ],
)
def test_each_comparison_knows_the_threshold_itself(comparison, breaching):
    judged_by = rule(1, 1, comparison=comparison)
    found = {
        value for value in (9.0, 10.0, 11.0) if evaluate([Datapoint(0, value)], judged_by).state == "ALARM"
    }
    assert found == breaching


@pytest.mark.parametrize(
    ("drawn", "given", "said"),
    [
        (
            "0 0 X X X",
            rule(),
            "Threshold Crossed: 3 out of the last 3 datapoints [15.0 (01/01/70 00:04:00), "
            "15.0 (01/01/70 00:03:00), 15.0 (01/01/70 00:02:00)] were greater than the threshold (10.0) "
            "(minimum 3 datapoints for OK -> ALARM transition).",
        ),
        (
            "0 0 X X 0",
            rule(),
            "Threshold Crossed: 1 out of the last 3 datapoints [5.0 (01/01/70 00:04:00)] was not greater than "
            "the threshold (10.0) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
        ("- - - - -", rule(), "Insufficient Data: 3 datapoints were unknown."),
        ("- - -", rule(1, 1), "Insufficient Data: 1 datapoint was unknown."),
        (
            "- - -",
            rule(1, 1, "breaching"),
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
            "[Breaching].",
        ),
        (
            "- - - - -",
            rule(missing="notBreaching"),
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated "
            "as [NonBreaching].",
        ),
        (
            "0 - X - -",
            rule(2, missing="breaching"),
            "Threshold Crossed: 1 out of the last 2 datapoints [15.0 (01/01/70 00:02:00)] was greater than the "
            "threshold (10.0) and 1 missing datapoint was treated as [Breaching] (minimum 2 datapoints for OK -> "
            "ALARM transition).",
        ),
    ],
)
def test_the_reason_is_in_awss_words(drawn, given, said):
    assert reason(evaluate(points(drawn), given), given) == said


@pytest.mark.parametrize(
    ("value", "written"),
    [(3, "3.0"), (0.25, "0.25"), (0, "0.0"), (12_500_000, "1.25E7"), (0.0004, "4.0E-4")],
)
def test_numbers_are_written_as_cloudwatch_writes_them(value, written):
    assert number(value) == written


def test_a_verdict_without_points_keeps_the_state_where_missing_data_is_ignored():
    assert evaluate([None] * 5, rule(missing="ignore")) == Verdict(None, (), 3)

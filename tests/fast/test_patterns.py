"""The regular expressions of AWS's models, read by Python."""

import re

import pytest

from localaws import patterns, shapes

TAG = r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)"
NAME = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"


@pytest.mark.parametrize("text", ["cost centre", "équipe", "日本", "a/b=c+d-e@f", "", "٣"])
def test_letters_of_all_scripts_may_be_in_a_tag(text: str):
    assert patterns.satisfies(text, TAG)


@pytest.mark.parametrize("text", ["a*b", "#", "tab\t", "line\n", "\u20ac"])
def test_what_is_neither_letter_number_nor_space_may_not(text: str):
    assert not patterns.satisfies(text, TAG)


@pytest.mark.parametrize(
    ("text", "fits"), [("a-b", True), ("a", True), ("-a", False), ("a-", False), ("a_b", False)]
)
def test_all_of_the_text_must_match(text: str, fits: bool):
    assert patterns.satisfies(text, NAME) is fits
    assert not patterns.satisfies(text + "\n", NAME)


def test_an_expression_that_python_cannot_read_refuses_nothing(caplog: pytest.LogCaptureFixture):
    unreadable = r"[\uD800\uDC00-\uDBFF\uDFFF\t]*"
    with pytest.raises(re.error):
        re.compile(unreadable)
    assert patterns.satisfies("anything", unreadable)
    assert "can't be read" in caplog.text


def test_a_long_text_takes_no_time_to_speak_of():
    """Its length is refused already: an expression may take the square of it."""
    assert patterns.satisfies("-" * 5_000_000 + "_", NAME)


def test_only_who_asks_for_patterns_has_them_checked():
    request = {"ModelName": "under_score", "PrimaryContainer": {"Environment": {"1": "x"}}}
    assert shapes.problem("sagemaker", "CreateModel", request) == ""
    assert shapes.problem("sagemaker", "CreateModel", request, patterns=True) == (
        r"2 validation errors detected: Value 'under_score' at 'modelName' failed to satisfy constraint: Member must "
        r"satisfy regular expression pattern: [a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?; Value '1' at "
        r"'primaryContainer.environment' failed to satisfy constraint: Map keys must satisfy constraint: [Member must "
        r"have length less than or equal to 1024, Member must have length greater than or equal to 0, Member must "
        r"satisfy regular expression pattern: [a-zA-Z_][a-zA-Z0-9_]*]"
    )

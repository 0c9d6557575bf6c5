"""A checkpoint runs every check, and says of each failure why it fails and what mends it."""

import importlib
import inspect

import pytest

from workshop import checkpoints
from workshop.checkpoints import MIMETYPE, Failed
from workshop.errors import AwsError, CheckpointFailed

LABS = (1, 2, 3, 4)


def passes() -> str:
    return "the stack is complete"


def fails() -> str:
    raise Failed("metrics.json is <missing>", "The task wrote nothing.", "workshop run x --on ecs")


def cannot_look() -> str:
    raise AwsError("the local AWS does not answer", "workshop up")


def test_all_checks_run_also_after_one_has_failed():
    outcome = checkpoints.run([fails, passes], 4)
    assert [line.passed for line in outcome.lines] == [False, True]
    assert not outcome.passed


def test_a_failure_is_shown_with_its_reason_and_remedy():
    text = str(checkpoints.run([passes, fails], 4))
    assert text.splitlines() == [
        "✓ the stack is complete",
        "✗ metrics.json is <missing>",
        "    The task wrote nothing.",
        "    fix: workshop run x --on ecs",
    ]


def test_a_check_that_cannot_look_fails_with_the_errors_remedy():
    [line] = checkpoints.run([cannot_look], 1).lines
    assert not line.passed
    assert line.fix == "workshop up"


def test_an_unexpected_error_is_not_hidden():
    def broken() -> str:
        raise KeyError("outputs")

    with pytest.raises(KeyError):
        checkpoints.run([broken], 1)


def test_a_checkpoint_without_checks_has_not_passed():
    assert not checkpoints.run([], 1).passed


def test_a_notebook_gets_text_html_and_what_the_runner_reads():
    bundle = checkpoints.run([passes, fails], 4)._repr_mimebundle_()
    assert bundle[MIMETYPE]["passed"] is False
    assert bundle[MIMETYPE]["lines"][1]["fix"] == "workshop run x --on ecs"
    assert "&lt;missing&gt;" in bundle["text/html"]
    assert bundle["text/plain"].startswith("✓")


def test_conclude_raises_after_it_has_shown_the_lines(capsys):
    with pytest.raises(CheckpointFailed, match="1 of 2 checks of lab 4"):
        checkpoints.conclude(checkpoints.run([passes, fails], 4))
    assert "fix: workshop run x" in capsys.readouterr().out


@pytest.mark.parametrize(("lab", "part"), [(99, ""), (1, "my-turn")])
def test_a_lab_or_part_without_checks_says_so(lab, part):
    with pytest.raises(CheckpointFailed, match="no checkpoint"):
        checkpoints.check(lab, part)


@pytest.mark.parametrize("lab", LABS)
@pytest.mark.parametrize("part", ["", "your-turn"])
def test_each_lab_has_checks_that_say_what_must_have_been_done(lab, part):
    checks = checkpoints.checks_of(lab, part)
    assert checks
    assert all(inspect.getdoc(item) for item in checks)


@pytest.mark.parametrize("lab", LABS)
def test_every_check_of_a_lab_is_in_one_of_its_lists(lab):
    module = importlib.import_module(f"workshop.checks.lab_{lab:02d}")
    public = {
        value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert public == {*module.CHECKS, *module.YOUR_TURN}

"""A scan that could not ask says so; one that could tells what is known."""

import json
from pathlib import Path

import pytest

from workshop.aws import bill_of_materials
from workshop.aws.bill_of_materials import Bill
from workshop.aws.session import Aws
from workshop.errors import AwsError
from workshop.settings import load

BILL = Bill("mxnet", Path("mxnet.cdx.json"), 3, (("one", "1.0"), ("two", "2.0"), ("three", "3.0")))
SKIPPED = {"skip_reason": "Dependency not found"}


@pytest.fixture
def aws(tmp_path):
    settings = load({}, root=tmp_path, state_dir=tmp_path / "state")
    return Aws("local", "http://127.0.0.1:1", "eu-west-3", "123456789012", "workshop", settings, None)


@pytest.fixture
def audit(tmp_path):
    """A pip-audit of ours that answers what a test decides, and keeps what it was asked."""
    folder = tmp_path / ".venvs" / "audit" / "bin"
    folder.mkdir(parents=True)

    def answers(text: str, status: int = 0) -> None:
        (tmp_path / "answer").write_text(text)
        script = f"#!/bin/sh\ncp $2 {tmp_path}/asked\ncat {tmp_path}/answer\nexit {status}\n"
        (folder / "pip-audit").write_text(script)
        (folder / "pip-audit").chmod(0o755)

    return answers


def told(*entries: dict) -> str:
    return json.dumps({"dependencies": [*entries], "fixes": []})


def test_known_faults_are_told_with_the_version_that_mends_them(aws, audit, tmp_path):
    fault = {"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": ""}
    entries = [{"name": name, "version": version, "vulns": []} for name, version in BILL.python]
    entries[0]["vulns"] = [fault, {**fault, "id": "PYSEC-2", "fix_versions": []}]
    audit(told(*entries), status=1)
    found = bill_of_materials.scan(BILL, aws)
    assert [(each["id"], each["mended_in"]) for each in found] == [
        ("PYSEC-1", "1.1"),
        ("PYSEC-2", "no version yet"),
    ]
    assert (tmp_path / "asked").read_text() == "one==1.0\ntwo==2.0\nthree==3.0\n"


@pytest.mark.parametrize(
    "answer",
    ["", "Traceback", told(*({"name": name, **SKIPPED} for name, _ in BILL.python)), told()],
)
def test_database_that_does_not_answer_is_no_clean_bill(aws, audit, answer):
    audit(answer)
    with pytest.raises(AwsError, match="advisory database does not answer"):
        bill_of_materials.scan(BILL, aws)


def test_missing_tool_is_named_with_the_command_that_makes_it(aws):
    with pytest.raises(AwsError) as caught:
        bill_of_materials.scan(BILL, aws)
    assert "--audit" in caught.value.remedy

"""Records of SageMaker without a server: names, ARNs, accounts, versions that are given once."""

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from localaws.sagemaker import arns, events, packagegroups, packages, tagging
from localaws.sagemaker.context import Context
from localaws.sagemaker.refusals import Refused, exists, job_exists, not_found
from localaws.sagemaker.store import Store

ACCOUNT, REGION = "123456789012", "eu-central-1"
ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:"


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    from ministack.core.responses import request_scope

    with request_scope(ACCOUNT, REGION):
        yield


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], str]]:
    found: list[tuple[str, dict[str, Any], str]] = []
    monkeypatch.setattr(events, "put", lambda *event: found.append(event))
    return found


@pytest.fixture
def context() -> Context:
    return Context(cast(Any, None), "http://127.0.0.1:1", REGION, clock=lambda: 1.23456)


def elsewhere() -> Any:
    from ministack.core.responses import request_scope

    return request_scope(ACCOUNT, "us-east-1")


def test_arns_are_in_lower_case_and_read_back():
    assert arns.arn("training-job", "Mine-1") == f"{ARN}training-job/mine-1"
    assert arns.parsed(f"{ARN}model-package/g/2") == ("model-package", "g/2")
    assert arns.name_of(f"{ARN}model-package-group/g", "model-package-group") == "g"
    assert arns.name_of("Plain", "model") == "Plain"


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:sagemaker:us-east-1:123456789012:model/m",
        "arn:aws:sagemaker:eu-central-1:999999999999:model/m",
        "arn:aws:s3:::bucket",
        f"{ARN}model",
        "m",
        "",
    ],
)
def test_an_arn_of_somewhere_else_names_nothing_here(text: str):
    assert arns.parsed(text) == ("", "")


def test_sentences_name_the_kind_and_the_arn():
    assert not_found("endpoint-config", "A").message == 'Could not find endpoint configuration "A".'
    assert exists("model", "A").message == 'Cannot create already existing model "A".'
    assert job_exists("A").code == "ResourceInUse" and "(A)" in job_exists("A").message


def test_records_are_found_in_any_case_and_only_in_their_own_region():
    store = Store()
    assert store.add("model", "Mine", {"n": 1}) and not store.add("model", "mINE", {"n": 2})
    assert store.get("model", "MINE") == {"n": 1}
    with elsewhere():
        assert store.get("model", "Mine") is None and store.of("model") == []
        assert store.add("model", "Mine", {"n": 3})
    assert [(region, record["n"]) for _, region, record in store.everywhere("model")] == [
        (REGION, 1),
        ("us-east-1", 3),
    ]
    assert store.remove("model", "mine") == {"n": 1} and store.get("model", "Mine") is None


def test_what_a_snapshot_has_is_of_one_moment_and_can_be_restored():
    store, later = Store(), Store()
    store.add("model", "m", {"_tags": {"a": "b"}})
    state = store.state()
    record = store.get("model", "m")
    assert record is not None
    record["_tags"]["a"] = "changed"
    later.restore(state)
    assert later.get("model", "m") == {"_tags": {"a": "b"}}
    later.restore(None)


def test_versions_that_are_made_at_once_have_numbers_of_their_own(context: Context, sent: list[Any]):
    from ministack.core.responses import request_scope

    packagegroups.Area(context).create({"ModelPackageGroupName": "g"})
    area, found = packages.Area(context), []

    def make() -> None:
        with request_scope(ACCOUNT, REGION):
            found.extend(area.create({"ModelPackageGroupName": "g"})["ModelPackageArn"] for _ in range(10))

    threads = [threading.Thread(target=make) for _ in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(found) == sorted(f"{ARN}model-package/g/{number}" for number in range(1, 51))
    assert len(sent) == 50


def test_tags_of_all_kinds_are_collected_and_those_of_other_regions_are_not(
    context: Context, sent: list[Any]
):
    groups = packagegroups.Area(context)
    groups.create({"ModelPackageGroupName": "g", "Tags": [{"Key": "a", "Value": "b"}]})
    groups.create({"ModelPackageGroupName": "plain"})
    collect = tagging.collector(context.store)
    assert list(collect()) == [(f"{ARN}model-package-group/g", [{"Key": "a", "Value": "b"}])]
    with elsewhere():
        assert list(collect()) == []


def test_tags_of_something_that_is_not_there_are_refused(context: Context):
    area = tagging.Area(context)
    for arn in (f"{ARN}model/none", f"{ARN}notebook-instance/n", "arn:aws:sagemaker:us-east-1:1:model/m"):
        with pytest.raises(Refused) as caught:
            area.list({"ResourceArn": arn})
        assert caught.value.code == "ValidationException" and arn in caught.value.message


def test_an_events_times_and_tags_are_as_aws_sends_them(monkeypatch: pytest.MonkeyPatch):
    import json

    from ministack.services import eventbridge

    found: list[dict[str, Any]] = []

    def put(data: dict[str, Any], allow_aws_source: bool) -> None:
        assert allow_aws_source
        found.extend(data["Entries"])

    monkeypatch.setattr(eventbridge, "_put_events", put)
    record = {
        "CreationTime": 1.5,
        "HyperParameters": {"_seed": "1", "Time": "5"},
        "SecondaryStatusTransitions": [{"StartTime": 2.0}],
        "_arn": "x",
        "_tags": {"_t": "u"},
    }
    events.put(events.TRAINING_JOB, record, "arn:j")
    events.put(events.MODEL_PACKAGE, record, "arn:p")
    job, package = (json.loads(each["Detail"]) for each in found)
    assert job == {
        "CreationTime": 1500,
        "HyperParameters": {"_seed": "1", "Time": "5"},
        "SecondaryStatusTransitions": [{"StartTime": 2000}],
        "Tags": {"_t": "u"},
    }
    assert package["CreationTime"] == "1970-01-01T00:00:01Z" and "Tags" not in package
    assert found[0]["Resources"] == ["arn:j"] and found[0]["Source"] == "aws.sagemaker"


def test_a_rule_whose_target_fails_does_not_undo_what_happened(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    from ministack.services import eventbridge

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the target")

    monkeypatch.setattr(eventbridge, "_put_events", fail)
    events.put(events.MODEL, {}, "arn:m")
    assert "the target" in caplog.text

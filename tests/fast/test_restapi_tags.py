"""What IAM sees of the tags of REST APIs: children have their parents', and a search finds what has its own."""

from collections.abc import Iterator
from typing import Any

import pytest

from localaws.restapis import tagging

START = "arn:aws:apigateway:us-east-1::"
OURS = {"workshop": "workshop"}


@pytest.fixture
def apis() -> Iterator[Any]:
    from ministack.services import apigateway_v1 as module

    stores = (module._rest_apis, module._stages_v1, module._api_keys, module._usage_plans, module._v1_tags)
    module._rest_apis["a"] = {"id": "a", "tags": OURS}
    module._rest_apis["bare"] = {"id": "bare", "tags": {}}
    module._stages_v1["a"] = {"v1": {"stageName": "v1", "tags": {"stage": "yes"}}, "v2": {"stageName": "v2"}}
    module._api_keys["k"] = {"id": "k", "tags": OURS}
    module._usage_plans["p"] = {"id": "p", "tags": {"workshop": "other"}}
    yield module
    for store in stores:
        store.clear()


@pytest.mark.parametrize(
    ("path", "tags"),
    [
        ("/restapis/a", OURS),
        ("/restapis/a/resources/r/methods/POST/integration", OURS),
        ("/restapis/a/models/*", OURS),
        ("/restapis/a/stages/v1", {**OURS, "stage": "yes"}),
        ("/restapis/a/stages/v2", OURS),
        ("/restapis/bare/resources", {}),
        ("/apikeys/k", OURS),
        ("/usageplans/p/keys/k", {"workshop": "other"}),
        ("/restapis/none", None),
        ("/restapis", None),
        ("/domainnames/x", None),
    ],
)
def test_a_child_has_the_tags_of_what_it_belongs_to(
    apis: Any, path: str, tags: dict[str, str] | None
) -> None:
    assert tagging.of(START + path) == tags


def test_tags_that_were_changed_later_count(apis: Any) -> None:
    apis._v1_tags[f"{START}/restapis/a"] = {"workshop": "other"}
    assert tagging.of(f"{START}/restapis/a/models/m") == {"workshop": "other"}


def test_a_search_finds_what_has_tags_of_its_own(apis: Any) -> None:
    found = {
        arn.removeprefix(START): {each["Key"]: each["Value"] for each in tags}
        for arn, tags in tagging.tagged()
    }
    assert found == {
        "/restapis/a": OURS,
        "/restapis/a/stages/v1": {"stage": "yes"},
        "/apikeys/k": OURS,
        "/usageplans/p": {"workshop": "other"},
    }

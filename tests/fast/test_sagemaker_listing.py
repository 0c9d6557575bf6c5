"""Lists of SageMaker: filters, orders, and pages that end."""

from typing import Any

import pytest

from localaws.sagemaker import listing
from localaws.sagemaker.listing import Listing
from localaws.sagemaker.refusals import Refused

MODELS = Listing("Models", "ModelName")
JOBS = Listing("Jobs", "JobName", status="JobStatus", order="Ascending")
LATE = Listing("Jobs", "JobName", status="JobStatus", order="Ascending", status_late=True)


def models(count: int) -> list[dict[str, Any]]:
    return [
        {"ModelName": f"m{number}", "CreationTime": 100.0 + number // 2, "_arn": f"arn:m{number}"}
        for number in range(count)
    ]


def jobs(*states: str) -> list[dict[str, Any]]:
    return [
        {
            "JobName": f"j{n}",
            "CreationTime": float(n),
            "LastModifiedTime": 10.0 + n,
            "JobStatus": s,
            "_arn": f"{n}",
        }
        for n, s in enumerate(states)
    ]


def names(answer: dict[str, Any], member: str = "Models", name: str = "ModelName") -> list[str]:
    return [each[name] for each in answer[member]]


def pages(given: Listing, records: list[dict[str, Any]], **request: Any) -> list[list[str]]:
    """All pages, as a paginator asks for them."""
    found, token = [], {}
    while True:
        answer = given.answer({**request, **token}, records)
        found.append([each[given.name] for each in answer[given.member]])
        if "NextToken" not in answer:
            return found
        token = {"NextToken": answer["NextToken"]}


def test_newest_come_first_unless_asked_otherwise():
    assert names(MODELS.answer({}, models(4))) == ["m3", "m2", "m1", "m0"]
    by_name = {"SortBy": "Name", "SortOrder": "Ascending"}
    assert names(MODELS.answer(by_name, models(3))) == ["m0", "m1", "m2"]


def test_ten_come_in_a_page_that_names_no_size():
    assert [len(page) for page in pages(MODELS, models(25))] == [10, 10, 5]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("order", ["Ascending", "Descending"])
def test_pages_together_are_the_list_and_the_last_has_no_token(size: int, order: str):
    found = pages(MODELS, models(7), MaxResults=size, SortOrder=order)
    assert sorted(each for page in found for each in page) == [f"m{number}" for number in range(7)]
    assert all(len(page) == size for page in found[:-1]) and found[-1]


def test_what_is_deleted_between_two_pages_leaves_nothing_out_and_gives_nothing_twice():
    records = models(6)
    first = MODELS.answer({"MaxResults": 2, "SortBy": "Name", "SortOrder": "Ascending"}, records)
    request = {"MaxResults": 4, "SortBy": "Name", "SortOrder": "Ascending", "NextToken": first["NextToken"]}
    assert names(MODELS.answer(request, records[2:])) == ["m2", "m3", "m4", "m5"]
    assert names(MODELS.answer(request, records[1:])) == ["m2", "m3", "m4", "m5"]


def damaged(token: str) -> list[str]:
    return [
        token[:-1],
        token[1:],
        token + "A",
        "!" + token,
        token[:-4] + "AAAA",
        token.swapcase(),
        "1",
        "none of ours",
        "ä",
    ]


@pytest.mark.parametrize("which", range(9))
def test_a_damaged_token_is_refused(which: int):
    token = MODELS.answer({"MaxResults": 1}, models(3))["NextToken"]
    with pytest.raises(Refused) as caught:
        MODELS.answer({"MaxResults": 1, "NextToken": damaged(token)[which]}, models(3))
    assert (caught.value.code, caught.value.message) == ("ValidationException", "Invalid NextToken")


@pytest.mark.parametrize("other", [{"SortBy": "Name"}, {"NameContains": "m"}, {"SortOrder": "Ascending"}])
def test_a_token_is_good_for_its_own_question_alone(other: dict[str, str]):
    token = MODELS.answer({"MaxResults": 1}, models(3))["NextToken"]
    assert len(names(MODELS.answer({"MaxResults": 2, "NextToken": token}, models(3)))) == 2
    with pytest.raises(Refused, match="Invalid NextToken"):
        MODELS.answer({"NextToken": token, **other}, models(3))


def test_names_are_found_by_a_part_in_any_case():
    assert names(MODELS.answer({"NameContains": "M1"}, models(12))) == ["m11", "m10", "m1"]


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        ({"CreationTimeAfter": 1.0}, ["j2"]),
        ({"CreationTimeBefore": 1.0}, ["j0"]),
        ({"LastModifiedTimeAfter": 10.0, "LastModifiedTimeBefore": 12.0}, ["j1"]),
        ({"CreationTimeAfter": "1970-01-01T00:00:01Z"}, ["j2"]),
        ({"StatusEquals": "Failed"}, ["j1"]),
        ({"SortBy": "Status"}, ["j0", "j1", "j2"]),
        ({"SortBy": "LastModifiedTime", "SortOrder": "Descending"}, ["j2", "j1", "j0"]),
    ],
)
def test_filters_leave_out_and_orders_order(request_: dict[str, Any], found: list[str]):
    answer = JOBS.answer(request_, jobs("Completed", "Failed", "InProgress"))
    assert names(answer, "Jobs", "JobName") == found


@pytest.mark.parametrize("time", ["yesterday", [], {}])
def test_what_is_no_time_is_refused(time: Any):
    with pytest.raises(Refused) as caught:
        MODELS.answer({"CreationTimeAfter": time}, models(1))
    assert caught.value.code == "SerializationException"


def test_a_late_status_leaves_out_of_pages_and_not_of_the_list():
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html, MaxResults."""
    records = jobs("Completed", "Failed", "Failed", "Completed", "Failed")
    asked = {"StatusEquals": "Failed", "MaxResults": 2}
    assert pages(JOBS, records, **asked) == [["j1", "j2"], ["j4"]]
    assert pages(LATE, records, **asked) == [["j1"], ["j2"], ["j4"]]


def test_versions_come_in_the_order_of_their_numbers():
    several = [
        {"ModelPackageName": "g", "ModelPackageVersion": n, "CreationTime": 1.0, "_arn": f"arn:g/{n}"}
        for n in (10, 9, 2)
    ]
    packages = Listing("Packages", "ModelPackageName", order="Ascending")
    answer = packages.answer({"SortBy": "Name"}, several)
    assert [each["ModelPackageVersion"] for each in answer["Packages"]] == [2, 9, 10]


def test_tags_come_in_pages_in_their_own_order():
    tags = [{"Key": str(number)} for number in range(120)]
    first = listing.numbered({"ResourceArn": "a"}, tags, "Tags", 50)
    second = listing.numbered({"ResourceArn": "a", "NextToken": first["NextToken"]}, tags, "Tags", 50)
    third = listing.numbered({"ResourceArn": "a", "NextToken": second["NextToken"]}, tags, "Tags", 50)
    assert first["Tags"] + second["Tags"] + third["Tags"] == tags and "NextToken" not in third
    with pytest.raises(Refused, match="Invalid NextToken"):
        listing.numbered({"ResourceArn": "b", "NextToken": first["NextToken"]}, tags, "Tags", 50)

"""The form of lab 8 as a person meets it: a survey filled in by its labels, a key pasted, the model's answer read."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from course_world import course
from playwright.sync_api import Locator, Page, expect
from predicting_server import deploy_endpoint

from workshop.aws import apis, stacks
from workshop.aws.session import Aws
from workshop.ml.satisfaction import recipe, survey

SEEN = {
    "Gender": "Male",  # the first of the numbers: this model calls men satisfied, and women not
    "Customer Type": "Loyal Customer",
    "Age": 41,
    "Type of Travel": "Business travel",
    "Class": "Eco Plus",
    "Flight Distance": 1200,
    **{name: 1 + place % 5 for place, name in enumerate(survey.RATINGS)},
    survey.RATINGS[3]: 0,
    survey.DEPARTURE_DELAY: 30,
    survey.ARRIVAL_DELAY: None,
}


def columns() -> dict[str, Any]:
    """columns.json of a recipe in which nothing stands for itself that need not."""
    encodings: dict[str, dict[str, float]] = {
        column.name: {name: float(code) for code, name in enumerate(column.categories)}
        for column in survey.FEATURES
        if column.kind == "category"
    }
    encodings |= {name: {"0": 3.25} for name in survey.RATINGS}
    rule = {"from": survey.DEPARTURE_DELAY, "slope": 0.9773, "intercept": 0.7662}
    means = dict.fromkeys(survey.NAMES, 1.0)
    made = recipe.Recipe(recipe.MEAN, encodings, {survey.ARRIVAL_DELAY: rule}, means, 100, "0" * 64)
    return made.as_dict()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with course(tmp_path_factory.mktemp("form")) as made:
        bucket = stacks.deploy("storage", aws=made)["InputBucket"]
        stacks.deploy("satisfaction", aws=made)
        content = json.dumps(columns()).encode()
        made.client("s3").put_object(Bucket=bucket, Key="satisfaction/columns.json", Body=content)
        deploy_endpoint(made)
        yield made


@pytest.fixture
def asked(page: Page) -> list[str]:
    """Every address that the page asks for."""
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    return addresses


def field(page: Page, name: str) -> Locator:
    """What a label belongs to that begins with these words; a unit may follow."""
    return page.get_by_label(re.compile(rf"^{re.escape(name)}\b"))


def fill(page: Page, answers: dict[str, Any], key: str) -> None:
    field(page, "API key").fill(key)
    for name, said in answers.items():
        found = field(page, name)
        if found.evaluate("each => each.tagName") == "SELECT":
            found.select_option("not applicable" if said == 0 else str(said))
        elif said is not None:
            found.fill(str(said))


def test_a_person_gets_the_models_answer_and_the_api_gets_the_models_numbers(
    aws: Aws, page: Page, asked: list[str]
) -> None:
    found = aws.client("apigateway").get_api_key(
        apiKey=stacks.outputs("satisfaction", aws)["ApiKeyId"], includeValue=True
    )
    page.goto(apis.url(aws=aws) + "/")
    expect(page).to_have_title("Was this passenger satisfied?")
    answer, button = page.get_by_role("status"), page.get_by_role("button", name="Ask the model")

    fill(page, SEEN, found["value"])
    with page.expect_request("**/predict") as sent:
        button.click()
    expect(answer).to_have_text("The model says: satisfied (score 0.750).")
    posted = json.loads(sent.value.post_data or "")
    assert posted == {"features": pytest.approx(recipe.numbers(columns(), SEEN))}

    field(page, "Gender").select_option("Female")
    button.press("Enter")  # without a mouse
    expect(answer).to_have_text("The model says: neutral or dissatisfied (score 0.250).")

    field(page, "API key").fill("0" * 40)
    button.click()
    expect(answer).to_have_text("The key is not known here (Forbidden).")
    assert all(address.startswith((apis.url(aws=aws), "data:")) for address in asked), asked
    assert found["value"] not in page.content() and found["value"] not in " ".join(asked)


def test_what_is_missing_or_impossible_is_not_sent(aws: Aws, page: Page, asked: list[str]) -> None:
    page.goto(apis.url(aws=aws))  # without a slash at the end, as one copies it from the stack's output
    fill(page, {**SEEN, "Age": 999}, "k" * 40)
    page.get_by_role("button").click()
    assert field(page, "Age").evaluate("each => each.validity.rangeOverflow")
    field(page, "Age").fill("40")
    field(page, "Cleanliness").select_option("choose")
    page.get_by_role("button").click()
    assert field(page, "Cleanliness").evaluate("each => each.validity.valueMissing")
    assert not [address for address in asked if address.endswith("/predict")]


def test_every_question_has_a_label_and_the_page_fits_a_phone(aws: Aws, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto(apis.url(aws=aws) + "/")
    fields = page.locator("form input, form select")
    assert fields.count() == len(survey.FEATURES) + 1
    assert fields.evaluate_all("all => all.every(each => each.labels.length === 1)")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator("html").get_attribute("lang") == "en"

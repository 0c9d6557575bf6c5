"""The recipe is learned from the training part alone, and gives one answer the numbers that it gives a whole file."""

import json

import numpy as np
import pytest
from benchmarks import satisfaction

from workshop.data import passengers, surveys
from workshop.errors import DataError
from workshop.ml.satisfaction import prepare, recipe, survey
from workshop.ml.satisfaction.survey import Answers


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> surveys.Surveys:
    return surveys.read_zip(passengers.write_zip(tmp_path_factory.mktemp("survey") / "survey.zip"))


@pytest.fixture(scope="module")
def parts(answers) -> prepare.Parts:
    return prepare.split(answers.train, answers.test, 0.1, 10)


def document(parts: prepare.Parts, ratings: str = recipe.MEAN) -> dict:
    return recipe.from_json(recipe.to_json(recipe.fit(parts.train, ratings), {}))


def changed(answers: Answers) -> Answers:
    """The same passengers with other answers, all of them satisfied and late."""
    values = np.array(answers.values)
    values[:, survey.POSITIONS[survey.ARRIVAL_DELAY]] = 999
    values[:, survey.POSITIONS[survey.RATINGS[0]]] = 5
    return Answers(values, np.ones_like(answers.labels), answers.ids)


@pytest.mark.parametrize("ratings", recipe.RATINGS)
def test_recipe_and_train_file_stay_the_same_whatever_test_and_validation_say(parts, tmp_path, ratings):
    others = prepare.Parts(parts.train, changed(parts.validation), changed(parts.test))
    for name, each in (("as-they-are", parts), ("changed", others)):
        prepare.write(each, recipe.fit(each.train, ratings), tmp_path / name)
    for file in ("columns.json", "train/train.csv"):
        assert (tmp_path / "as-they-are" / file).read_bytes() == (tmp_path / "changed" / file).read_bytes()
    for file in ("validation/validation.csv", "test/test.csv"):
        assert (tmp_path / "as-they-are" / file).read_bytes() != (tmp_path / "changed" / file).read_bytes()


@pytest.mark.parametrize("ratings", recipe.RATINGS)
def test_recipe_changes_with_the_training_part(parts, ratings):
    learned = recipe.fit(parts.train, ratings).as_dict()
    other = recipe.fit(changed(parts.train), ratings).as_dict()
    assert learned["columns"] != other["columns"] and learned["fitted_on"] != other["fitted_on"]


def test_empty_arrival_delay_is_filled_by_the_line_of_the_flights_that_have_both(parts):
    values = np.array(parts.train.values[:4])
    left, came = survey.POSITIONS[survey.DEPARTURE_DELAY], survey.POSITIONS[survey.ARRIVAL_DELAY]
    values[:, left], values[:, came] = (0, 10, 20, 30), (0, 30, 40, np.nan)
    few = Answers(values, parts.train.labels[:4], parts.train.ids[:4])
    found = recipe.fit(few)
    assert found.missing[survey.ARRIVAL_DELAY] == {
        "from": survey.DEPARTURE_DELAY,
        "slope": 2.0,  # by least squares, flights on time counted too
        "intercept": 3.3333,
    }
    assert recipe.encode(found, few)[:, came].tolist() == [0, 30, 40, 63.3333]


@pytest.mark.parametrize(("came", "filled"), [([7.0, 7.0], 7.0), ([np.nan, np.nan], 0.0)])
def test_line_is_flat_where_no_delay_differs_or_none_is_known(parts, came, filled):
    values = np.array(parts.train.values[:2])
    values[:, survey.POSITIONS[survey.DEPARTURE_DELAY]] = 3
    values[:, survey.POSITIONS[survey.ARRIVAL_DELAY]] = came
    rule = recipe.fit(Answers(values, parts.train.labels[:2], parts.train.ids[:2])).missing[
        survey.ARRIVAL_DELAY
    ]
    assert (rule["slope"], rule["intercept"]) == (0.0, filled)


def test_ratings_become_what_was_chosen(parts):
    name = survey.RATINGS[0]
    given, labels = parts.train.column(name), parts.train.labels
    as_given, mean, evidence = (recipe.fit(parts.train, each).encodings for each in recipe.RATINGS)
    assert name not in as_given
    assert mean[name] == {"0": round(float(given[given > 0].mean()), 4)}
    fives = labels[given == 5]
    assert evidence[name]["5"] == round(float(np.log((fives.sum() + 1) / ((1 - fives).sum() + 1))), 4)
    with pytest.raises(DataError, match="no way 'median' with ratings"):
        recipe.fit(parts.train, "median")


@pytest.mark.parametrize("ratings", recipe.RATINGS)
def test_one_answer_gets_the_numbers_that_the_file_has_for_it(parts, ratings, tmp_path):
    files = prepare.write(parts, recipe.fit(parts.train, ratings), tmp_path)
    columns = recipe.from_json(files["columns.json"].read_text())
    numbers, labels = prepare.read_lines(files["test"].read_bytes(), "test.csv")
    empty = np.flatnonzero(np.isnan(parts.test.column(survey.ARRIVAL_DELAY)))
    assert len(empty) and labels.tolist() == parts.test.labels.tolist()
    for index in [*range(50), *empty]:
        assert recipe.numbers(columns, parts.test.answer(int(index))) == numbers[index].tolist()


GOOD = {
    **{name: 4 for name in survey.RATINGS},
    **{"Gender": "Male", "Customer Type": "Loyal Customer", "Age": 30, "Type of Travel": "Business travel"},
    **{"Class": "Eco", "Flight Distance": 500, survey.DEPARTURE_DELAY: 0, survey.ARRIVAL_DELAY: None},
}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"Class": "eco"}, "'Class' is 'eco', expected one of Eco, Eco Plus, Business"),
        ({"Class": 1}, "'Class' is 1, expected one of"),
        ({"Age": "30"}, "'Age' is '30', expected a number"),
        ({"Age": True}, "'Age' is True, expected a number"),
        ({"Age": 0}, "'Age' is 0, expected 1 to 120"),
        ({"Age": float("nan")}, "'Age' is nan, expected 1 to 120"),
        ({"Age": None}, "'Age' is missing"),
        ({"Cleanliness": 6}, "'Cleanliness' is 6, expected 0 to 5"),
        ({"Cleanliness": 4.5}, "'Cleanliness' is 4.5, expected a whole number"),
        ({"Cleanlines": 4}, "there is no question 'Cleanlines': did you mean 'Cleanliness'?"),
    ],
)
def test_wrong_answer_is_refused_with_what_is_wrong(parts, change, problem):
    columns = document(parts)
    assert recipe.wrong_with(columns, GOOD) == []
    (told,) = recipe.wrong_with(columns, {**GOOD, **change})
    assert told.startswith(problem)
    with pytest.raises(DataError, match="the answer can't be used"):
        recipe.numbers(columns, {**GOOD, **change})


def test_everything_wrong_with_an_answer_is_told_at_once(parts):
    told = recipe.wrong_with(document(parts), {})
    # null may be said, silence may not
    assert len(told) == 22 and "'Arrival Delay in Minutes' is missing" in told


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other", "columns": []}'])
def test_another_document_is_no_recipe(text):
    with pytest.raises(DataError, match=r"columns\.json"):
        recipe.from_json(text)


# --- the files


def test_parts_have_the_same_share_of_satisfied_and_no_passenger_twice(answers, parts):
    assert len(parts.validation) == 480 and parts.test is answers.test
    assert abs(parts.validation.satisfied_share - parts.train.satisfied_share) < 0.002
    assert sorted([*parts.train.ids, *parts.validation.ids]) == sorted(answers.train.ids)
    again, other = (prepare.split(answers.train, answers.test, 0.1, seed).validation.ids for seed in (10, 11))
    assert np.array_equal(again, parts.validation.ids) and not np.array_equal(other, again)


def test_too_small_a_part_is_refused(answers):
    with pytest.raises(DataError, match="can't be split in two"):
        prepare.split(answers.train.part(range(8)), answers.test, 0.01, 10)
    with pytest.raises(DataError, match="a share of 1 can't"):
        prepare.split(answers.train, answers.test, 1, 10)


def test_files_have_the_label_first_22_features_and_no_header(parts, tmp_path):
    files = prepare.write(parts, recipe.fit(parts.train), tmp_path, {"note": "made up"})
    assert sorted(files) == ["columns.json", "test", "train", "unlabelled", "validation"]
    lines = files["train"].read_text().splitlines()
    assert len(lines) == len(parts.train) and {line.count(",") for line in lines} == {22}
    assert [int(line[0]) for line in lines] == parts.train.labels.tolist()
    bare = files["unlabelled"].read_text().splitlines()
    assert [f"{label},{line}" for label, line in zip(parts.test.labels, bare, strict=True)] == files[
        "test"
    ].read_text().splitlines()
    assert json.loads(files["columns.json"].read_text())["data"] == {"note": "made up"}


def test_numbers_are_written_as_short_as_they_are():
    numbers = np.array([[3, 0.0, -2.5], [100_001, 2.8123, 7]])
    assert prepare.csv_lines(numbers) == b"3,0,-2.5\n100001,2.8123,7\n"
    assert prepare.csv_lines(numbers, np.array([1, 0])) == b"1,3,0,-2.5\n0,100001,2.8123,7\n"
    assert prepare.csv_lines(np.array([[1.00004], [-0.00001]])) == b"1\n0\n"


def test_what_is_measured_beside_pandas_gives_the_same_test_file(tmp_path):
    """But for what was fitted, on another split: filled cells differ a little."""
    archive = passengers.write_zip(tmp_path / "survey.zip")
    satisfaction.ours(archive, tmp_path / "ours")
    satisfaction.with_pandas(archive, tmp_path / "pandas")
    own, theirs = (
        prepare.read_lines((tmp_path / name / "test" / "test.csv").read_bytes(), name)
        for name in ("ours", "pandas")
    )
    assert np.array_equal(own[1], theirs[1])
    assert (own[0] == theirs[0]).mean() > 0.98 and np.abs(own[0] - theirs[0]).max() < 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"label" + b",x" * 22 + b"\n", "label"),
        (b"1" + b",1" * 21 + b"\n", "it has 22"),
        (b"1" + b",nan" * 22 + b"\n", "not every number is one"),
        (b"2" + b",1" * 22 + b"\n", "other labels than 0 and 1"),
    ],
)
def test_file_that_was_not_prepared_is_refused(content, message):
    with pytest.raises(DataError, match=message):
        prepare.read_lines(content, "x.csv")

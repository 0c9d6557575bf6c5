"""A model's answers are read in every form, and its figures are those of scikit-learn."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from workshop import prepared_survey
from workshop.data import passengers, surveys
from workshop.errors import DataError, JobError
from workshop.ml.satisfaction import boosting, figures, measures, predictions, prepare, recipe, survey

ENTRIES = [{"score": 0.25, "predicted_label": 0}, {"score": 0.75, "predicted_label": 1}]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"predictions": ENTRIES}),
        "\n".join(json.dumps(entry) for entry in ENTRIES),
        "".join(json.dumps({"predictions": [entry]}) for entry in ENTRIES),
        "".join(json.dumps({"predictions": [entry]}, indent=1) + "\r\n" for entry in ENTRIES),
    ],
    ids=["JSON", "JSON Lines", "JSON after JSON", "indented"],
)
def test_answers_are_read_in_every_form(text):
    scores, guesses = predictions.parse(text.encode(), "test.csv.out")
    assert scores.tolist() == [0.25, 0.75] and guesses.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no answers"),
        ('{"score": 0.5, "predicted_label": 1}\n0.5,1\n', r"x\.out, answer 2: 0.5 has no score"),
        ('{"score": 0.5, "predicted_label": 1}\n<html>', r"x\.out, line 2: '<html>' is no JSON"),
        ('{"score": 1.5, "predicted_label": 1}', "score 1.5, label 1; expected"),
        ('{"score": NaN, "predicted_label": 1}', "score nan"),
        ('{"score": 0.5, "predicted_label": 2}', "label 2; expected"),
        ('{"predictions": [{"score": 3.2}]}', "no score and predicted_label"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_place(text, message):
    with pytest.raises(DataError, match=message):
        predictions.parse(text.encode(), "x.out")


@pytest.fixture(scope="module")
def scored():
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 500)
    # Rounded: with equal scores.
    scores = np.round(np.clip(random.normal(0.35 + 0.3 * labels, 0.25), 0, 1), 2)
    return scores, (scores >= 0.55).astype(int), labels


def test_figures_are_those_of_scikit_learn(scored):
    from sklearn import metrics

    scores, guesses, labels = scored
    found = measures.report(scores, guesses, labels)
    for name, theirs in (
        ("accuracy", metrics.accuracy_score(labels, guesses)),
        ("auc", metrics.roc_auc_score(labels, scores)),
        ("precision", metrics.precision_score(labels, guesses)),
        ("recall", metrics.recall_score(labels, guesses)),
        ("f1", metrics.f1_score(labels, guesses)),
    ):
        assert found[name] == pytest.approx(theirs), name
    assert found["confusion"] == metrics.confusion_matrix(labels, guesses).tolist()
    alarms, hits, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    assert np.allclose(measures.roc(scores, labels), (alarms, hits))
    assert "share of the answers guessed rightly" in str(measures.table(found))


def test_scores_that_come_true_have_no_calibration_error():
    scores = np.repeat([0.25, 0.75], 400)
    labels = np.concatenate([np.tile([1, 0, 0, 0], 100), np.tile([1, 1, 1, 0], 100)])
    assert measures.report(scores, scores > 0.5, labels)["calibration_error"] == pytest.approx(0)
    assert measures.report(1 - scores, scores > 0.5, labels)["calibration_error"] == pytest.approx(0.5)


def test_model_that_never_says_yes_has_figures_too():
    found = measures.report([0.1, 0.2], [0, 0], [0, 1])
    assert (found["precision"], found["recall"], found["f1"]) == (0, 0, 0)


# --- a model, on the sample


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    answers = surveys.read_zip(passengers.write_zip(folder / "survey.zip"))
    parts = prepare.split(answers.train, answers.test, 0.1, 10)
    prepare.write(parts, recipe.fit(parts.train), folder, {"note": "airline: made up"})
    return folder, parts


@pytest.fixture(scope="module")
def boosted(prepared):
    folder, _ = prepared
    return boosting.train(*prepare.read_lines((folder / "train" / "train.csv").read_bytes(), "train.csv"))


def test_boosting_finds_what_a_linear_model_can_not(prepared, boosted):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folder, parts = prepared
    numbers, labels = prepare.read_lines((folder / "train" / "train.csv").read_bytes(), "train.csv")
    test = prepared_survey.find(str(folder))
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(numbers, labels)
    plain = (linear.predict(test.numbers) == test.labels).mean()
    scores, guesses = boosted.predict(test.numbers)
    found = measures.report(scores, guesses, test.labels)
    assert 0.8 < plain < 0.88 and found["accuracy"] > plain + 0.06 and found["auc"] > 0.97
    assert np.array_equal(test.labels, parts.test.labels) and 10 < boosted.num_trees <= 300


def test_what_matters_to_the_sample_is_found_to_matter(prepared, boosted):
    test = prepared_survey.find(str(prepared[0]))
    lost = boosting.importances(boosted, test.numbers, test.labels)
    ranked = [survey.NAMES[index] for index in np.argsort(-lost)]
    assert {"Inflight wifi service", "Online boarding", "Type of Travel"} <= set(ranked[:6])
    assert abs(lost[survey.POSITIONS["Gender"]]) < 0.01


def test_one_class_alone_can_not_be_learned_from():
    with pytest.raises(DataError, match="one class alone"):
        boosting.train(np.zeros((20, 22)), np.ones(20))


def test_every_picture_is_drawn(prepared, boosted):
    _, parts = prepared
    test = prepared_survey.find(str(prepared[0]))
    scores, _ = boosted.predict(test.numbers)
    models = {"boosting": (scores, test.labels)}
    rule = recipe.fit(parts.train).missing[survey.ARRIVAL_DELAY]
    curve = [{"epoch": 1.0, "train loss": 0.5}, {"epoch": 2.0, "train loss": 0.4, "validation accuracy": 0.8}]
    drawn = {
        "satisfied by category": figures.satisfied_by_category(parts.train),
        "ratings": figures.ratings(parts.train),
        "by rating": figures.by_rating(parts.train, ["Online boarding"]),
        "delays": figures.delays(parts.train, rule),
        "correlations": figures.correlations(test.numbers, test.labels),
        "importances": figures.importances(np.linspace(0, 0.1, 22)),
        "roc": figures.roc(models),
        "calibration": figures.calibration(models),
        "learning curves": figures.learning_curves(curve),
        "nothing learned": figures.learning_curves([]),
    }
    for name, figure in drawn.items():
        assert isinstance(figure, Figure), name
        figure.draw_without_rendering()


def test_learning_curves_are_those_of_what_was_said_more_than_once():
    rows = [
        {"epoch": float(epoch), "train loss": 1 / epoch, "validation loss": 2 / epoch} for epoch in (1, 2, 3)
    ]
    rows[-1]["validation accuracy"] = 0.88
    (axes,) = figures.learning_curves(rows).axes
    assert axes.get_title() == "loss"
    assert [list(line.get_ydata()) for line in axes.lines] == [[1, 1 / 2, 1 / 3], [2, 1, 2 / 3]]


# --- where answers come from


def test_answers_of_a_batch_transform_are_found_and_counted(prepared, tmp_path):
    folder, parts = prepared
    test = prepared_survey.find(str(folder))
    assert test.note == "airline: made up; 1,200 answers to test on"
    lines = [json.dumps({"score": 0.5, "predicted_label": int(label)}) for label in parts.test.labels]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "test.csv.out").write_text("\n".join(lines))
    for where in (tmp_path / "out", tmp_path / "out" / "test.csv.out"):
        found = prepared_survey.answers(test, str(where))
        assert np.array_equal(found.guesses, test.labels) and found.source.endswith("test.csv.out")
    (tmp_path / "out" / "test.csv.out").write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match="has 1,199 answers, and the test file 1,200 lines"):
        prepared_survey.answers(test, str(tmp_path / "out"))
    with pytest.raises(DataError, match="there are no answers at"):
        prepared_survey.answers(test, str(tmp_path / "nowhere"))


def test_endpoint_is_asked_for_every_answer_of_the_test_file(prepared, monkeypatch):
    test = prepared_survey.find(str(prepared[0]))
    asked = {}

    def predict(endpoint, rows):
        asked[endpoint] = rows
        return np.full(len(rows), 0.5), np.ones(len(rows), dtype=int)

    monkeypatch.setattr(prepared_survey.hosting, "predict", predict)
    found = prepared_survey.answers(test, endpoint="workshop-satisfaction")
    assert asked["workshop-satisfaction"] is test.numbers and found.source == "endpoint workshop-satisfaction"


@pytest.mark.parametrize(("given", "endpoint"), [("", ""), ("a.out", "an-endpoint")])
def test_exactly_one_source_of_answers_is_named(prepared, given, endpoint):
    with pytest.raises(JobError, match="answers come from 'predictions' or from 'endpoint'"):
        prepared_survey.answers(prepared_survey.find(str(prepared[0])), given, endpoint)


def test_folder_that_was_not_prepared_is_refused(tmp_path):
    with pytest.raises(JobError, match="no prepared survey is named"):
        prepared_survey.find("")
    with pytest.raises(DataError, match=r"has no columns\.json"):
        prepared_survey.find(str(tmp_path))

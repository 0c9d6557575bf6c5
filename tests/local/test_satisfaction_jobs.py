"""The jobs of lab 8 run whole: the survey is prepared, and a model's answers to its test file are scored."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from workshop import jobs, prepared_survey
from workshop.data import passengers
from workshop.errors import JobError
from workshop.ml.satisfaction import boosting, prepare
from workshop.settings import Settings, load


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    """Made-up passengers as files of one's own, so that nothing is looked for in a network."""
    folder = tmp_path_factory.mktemp("satisfaction")
    with zipfile.ZipFile(passengers.write_zip(folder / "survey.zip")) as archive:
        archive.extractall(folder / "data" / "airline")
    places = {name: str(folder / name) for name in ("runs_dir", "state_dir", "cache_dir")}
    return load({}, data_dir=str(folder / "data"), **places)


@pytest.fixture(scope="module")
def prepared(settings) -> jobs.Result:
    return jobs.run("prepare-satisfaction", settings=settings)


def evaluate(settings: Settings, **parameters) -> jobs.Result:
    return jobs.run("evaluate-satisfaction", parameters, settings=settings)


def test_preparing_leaves_the_files_their_recipe_and_pictures(prepared):
    assert prepared.metrics["answers"] == {"train": 4320, "validation": 480, "test": 1200}
    assert prepared.metrics["filled_cells"]["train"] > 0 and prepared.metrics["features"] == 22
    for name in ("train", "validation", "test"):
        assert prepared.file(f"prepared/{name}/{name}.csv").stat().st_size > 10_000
    columns = json.loads(prepared.file("prepared/columns.json").read_text())
    assert columns["data"]["note"] == "airline: two tables from the data directory"
    for picture in ("categories", "ratings", "delays", "correlations"):
        assert prepared.file(f"{picture}.png").stat().st_size > 1_000


def test_answers_of_a_model_are_scored_on_the_test_file(settings, prepared, tmp_path):
    folder = prepared.file("prepared")
    train = prepare.read_lines(Path(folder / "train" / "train.csv").read_bytes(), "train.csv")
    test = prepared_survey.find(str(folder))
    scores, guesses = boosting.train(*train).predict(test.numbers)
    lines = [
        json.dumps({"score": float(score), "predicted_label": int(guess)})
        for score, guess in zip(scores, guesses, strict=True)
    ]
    (tmp_path / "test.csv.out").write_text("\n".join(lines))
    found = evaluate(settings, prepared=str(folder), predictions=str(tmp_path / "test.csv.out"))
    assert (
        found.metrics["accuracy"] == pytest.approx(np.mean(guesses == test.labels))
        and found.metrics["auc"] > 0.97
    )
    assert (found.metrics["is_sample"], found.metrics["data_source"]) == (False, "data directory")
    for picture in ("confusion", "roc", "calibration"):
        assert found.file(f"{picture}.png").stat().st_size > 1_000


def test_job_without_answers_fails_with_what_it_needs(settings, prepared):
    with pytest.raises(JobError, match="'predictions' or from 'endpoint', and neither is given"):
        evaluate(settings, prepared=str(prepared.file("prepared")))

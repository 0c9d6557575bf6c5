"""Sentiment networks: ONNX answers as Keras does, training resumes, and what was learned is served.

Keras takes seconds to load, so one process of its own trains tiny networks for all of these.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    pytest.importorskip("keras", reason="this environment has no keras (.venvs/workshop has)")
    folder = tmp_path_factory.mktemp("sentiment")
    script = Path(__file__).with_name("sentiment_report.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "report.json").read_text())


def test_onnx_answers_as_keras_for_every_layout(report):
    assert len(report["differences"]) >= 5
    assert max(report["differences"].values()) < 1e-5


def test_what_was_learned_is_served(report):
    found = report["trained"]
    assert found["accuracy"] > 0.95 and found["difference"] < 1e-5
    assert found["unseen"] == ["positive", "negative"]  # words that no training text had, by their spelling


def test_metadata_says_what_it_was_made_of(report):
    metadata = report["trained"]["metadata"]
    assert metadata["parameters"]["teachers"] == 1 and metadata["parameters"]["seed"] == 10
    assert metadata["cleaning"]["steps"] == ["lower", "squeeze"]
    assert {"python", "keras", "onnx", "onnxruntime", "numpy", "nltk"} <= metadata["versions"].keys()
    assert metadata["network"]["difference_to_keras"] < 1e-5


def test_every_epoch_has_each_metric_of_both_parts(report):
    wanted = {
        name
        for metric in ("loss", "accuracy", "precision", "recall")
        for name in (metric, f"validation_{metric}")
    }
    assert all(wanted <= epoch.keys() for epoch in report["trained"]["epochs"])
    assert [epoch["member"] for epoch in report["trained"]["epochs"]] == [1, 1, 1, 1, 2, 2, 2, 2]


def test_targets_are_half_the_label_and_half_what_the_teachers_say(report):
    assert report["mistaught"] < 1e-6


def test_taught_network_knows_the_labels_as_its_teacher_does(report):
    teacher, taught = report["trained"]["epochs"][3], report["trained"]["epochs"][7]
    for metric in ("accuracy", "precision", "recall"):  # not of all classes that have a share of a target
        assert teacher[metric] > 0.9 and taught[metric] > 0.9


def test_training_that_is_killed_goes_on_to_the_same_weights(report):
    assert report["trained"]["resumed_epochs"] == 8
    assert report["trained"]["resumed_is_same"]


def test_state_of_another_plan_is_refused(report):
    assert "learning_rate was 0.02, now 0.5" in report["trained"]["refusal"]

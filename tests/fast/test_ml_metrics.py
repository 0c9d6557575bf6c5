"""Metrics and verdicts, against values worked out by hand or by another implementation."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from workshop.errors import DataError
from workshop.ml import figures, metrics, verdict


def test_auc_agrees_with_scikit_learn_also_where_scores_are_equal():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 20, 500) / 20
    positive = generator.random(500) < 0.1 + scores / 2
    assert metrics.auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "positive", "expected"),
    [
        ([1, 2, 3], [0, 0, 1], 1.0),
        ([1, 2, 3], [1, 0, 0], 0.0),
        ([1, 1, 1, 1], [0, 1, 0, 1], 0.5),
        ([2, 2, 1], [1, 0, 0], 0.75),
    ],
)
def test_auc_of_small_sets(scores, positive, expected):
    assert metrics.auc(scores, positive) == expected


def test_auc_without_negatives_is_refused():
    with pytest.raises(DataError, match="there are 2 and 0"):
        metrics.auc([0.1, 0.2], [True, True])


def test_confusion_matrix_counts_truth_by_row_and_guess_by_column():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    table = metrics.confusion_matrix(probabilities, np.array([0, 1, 1]))
    assert table.tolist() == [[1, 0], [1, 1]]
    assert metrics.accuracy(probabilities, np.array([0, 1, 1])) == pytest.approx(2 / 3)


def test_top_k_counts_a_label_among_the_k_largest():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    assert metrics.top_k_accuracy(probabilities, np.array([1, 0]), 2) == 0.5


def test_metrics_refuse_labels_that_do_not_match():
    with pytest.raises(DataError, match="do not match labels"):
        metrics.accuracy(np.zeros((3, 2)), np.zeros(4))


def test_summary_scores_cats_by_auc_only_where_there_are_cats_and_others():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert metrics.summary(probabilities, np.array([0, 1]), ["cat", "dog"])["cat_auc"] == 1.0
    assert "cat_auc" not in metrics.summary(probabilities, np.array([0, 0]), ["cat", "dog"])
    assert "cat_auc" not in metrics.summary(probabilities, np.array([0, 1]), ["bird", "dog"])


def test_verdict_sums_the_cats_and_names_the_likeliest_first():
    judged = verdict.judge(
        np.array([0.1, 0.35, 0.3, 0.25]), ["bus", "tabby", "tiger cat", "cup"], [1, 2], k=2
    )
    assert judged.top == [("tabby", 0.35), ("tiger cat", 0.3)]
    assert judged.is_cat and judged.cat_probability == pytest.approx(0.65)
    assert judged.lines()[0].startswith("CAT")


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [([0.45, 0.3, 0.25, 0.0], True), ([0.6, 0.2, 0.2, 0.0], False), ([0.34, 0.36, 0.0, 0.3], True)],
)
def test_cats_together_must_be_likelier_than_any_other_class(probabilities, expected):
    judged = verdict.judge(np.array(probabilities), ["bus", "tabby", "tiger cat", "cup"], [1, 2])
    assert judged.is_cat == expected


def test_threshold_of_a_network_replaces_the_comparison():
    row, names = np.array([0.5, 0.4, 0.1]), ["frog", "cat", "dog"]
    assert verdict.judge(row, names, [1], threshold=0.35).is_cat
    assert not verdict.judge(row, names, [1], threshold=0.45).is_cat
    assert not verdict.judge(row, names, [1]).is_cat


def test_verdict_refuses_names_that_do_not_match():
    with pytest.raises(DataError, match="do not match 3 classes"):
        verdict.judge(np.ones(2), ["a", "b", "c"], [0])


def test_figures_are_drawn_for_one_picture_and_for_no_mistake(tmp_path):
    images, labels = np.zeros((2, 32, 32, 3), dtype=np.uint8), np.array([0, 1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    judged = verdict.judge_all(probabilities[:1], ["cat", "dog"], [0])
    rows = [{"loss": 1.0, "accuracy": 0.5}]
    drawn = [
        figures.classified_pictures(images[:1], judged),
        figures.confident_mistakes(images, labels, probabilities, ["cat", "dog"]),
        figures.confusion_matrix(metrics.confusion_matrix(probabilities, labels), ["cat", "dog"]),
        figures.learning_curves({"keras": rows}),
    ]
    for number, figure in enumerate(drawn):
        figure.savefig(tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").stat().st_size > 2_000


def test_figures_are_not_kept_by_pyplot():
    import matplotlib.pyplot as plt

    figures.learning_curves({"keras": [{"loss": 1.0, "accuracy": 0.5}]})
    assert plt.get_fignums() == []

"""Linear Learner learns what it should, chooses as documented, and says so in the lines that SageMaker reads."""

import io
import re

import numpy as np
import pytest

from linearlearner import candidates, choice, hyperparameters, learning, losses, scaling, scores, thresholds
from linearlearner.candidates import Candidate
from linearlearner.channels import Rows
from linearlearner.epochs import Epochs
from linearlearner.log_lines import Log
from linearlearner.predictor import Predictor
from localaws.sagemaker import jobmetrics

DRAW = np.random.default_rng(7)


def given(predictor_type="binary_classifier", **others):
    return hyperparameters.read({"predictor_type": predictor_type, **others})


def examples(count=600, predictor_type="binary_classifier"):
    """Rows whose labels follow from the features: the second feature is a thousand times larger than the others."""
    features = DRAW.normal(size=(count, 4)).astype(np.float32) * [1, 1000, 1, 1] + [0, 500, 0, 3]
    line = features @ [1.0, -0.002, 0.5, 0.0] + 1
    if predictor_type == "regressor":
        labels = 50 * line + 300
    elif predictor_type == "multiclass_classifier":
        labels = np.digitize(line, [-1, 1])
    else:
        labels = line > 0
    return Rows(features.astype(np.float32), labels.astype(np.float32))


def trained(rows, hyper, held_out=None, stopped=lambda: False):
    """The chosen model, what the log said, and how often it went over the rows."""
    said = io.StringIO()
    data = {"train": rows} | ({"validation": held_out} if held_out else {})
    scaler = scaling.fit(rows, hyper)
    best = Epochs(data, scaler, candidates.make(hyper, 1.0), hyper, Log("algo-1", said)).run(stopped)
    chosen = choice.choose(best.weights, best.bias, scaler, held_out or rows, best.losses, hyper)
    return chosen, said.getvalue()


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_the_slope_of_a_loss_is_its_derivative(name):
    hyper = given(
        "regressor",
        huber_delta="0.7",
        quantile="0.2",
        margin="0.8",
        loss_insensitivity="0.1",
    )
    classes = 3 if name == "softmax_loss" else 1
    outputs = DRAW.normal(size=(40, 2, classes))
    labels = DRAW.integers(0, max(classes, 2), 40).astype(np.float64)
    values, slopes = losses.LOSSES[name](outputs, labels, hyper)
    assert values.shape == (40, 2) and slopes.shape == outputs.shape and (values >= 0).all()
    step = 1e-6
    for output in range(classes):
        moved = outputs.copy()
        moved[..., output] += step
        measured = (losses.LOSSES[name](moved, labels, hyper)[0] - values) / step
        assert np.allclose(measured, slopes[..., output], atol=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize(
    ("predictor_type", "others"),
    [
        ("binary_classifier", {}),
        ("binary_classifier", {"loss": "hinge_loss"}),
        ("regressor", {}),
        ("regressor", {"loss": "huber_loss"}),
        ("multiclass_classifier", {"num_classes": "3"}),
    ],
)
def test_each_optimizer_finds_the_line_that_made_the_labels(optimizer, predictor_type, others):
    rows = examples(1000, predictor_type)
    hyper = given(
        predictor_type, optimizer=optimizer, mini_batch_size="20", epochs="30", num_models="4", **others
    )
    chosen, _ = trained(rows, hyper, examples(500, predictor_type))
    found = scores.measure(chosen.predictor, examples(500, predictor_type), hyper)
    if predictor_type == "regressor":
        assert found["mse"] < 0.02 * examples(500, predictor_type).labels.var()
    else:
        name = "binary_classification_accuracy" if predictor_type.startswith("b") else "multiclass_accuracy"
        assert found[name] > 0.95


def test_the_same_rows_and_hyperparameters_give_the_same_weights():
    rows = examples()
    first, _ = trained(rows, given(mini_batch_size="50"))
    again, _ = trained(rows, given(mini_batch_size="50"))
    assert (first.predictor.weights == again.predictor.weights).all()
    assert first.predictor.threshold == again.predictor.threshold


def test_rows_are_taken_in_their_order_because_the_algorithm_does_not_shuffle():
    rows = examples()
    turned = Rows(rows.features[::-1].copy(), rows.labels[::-1].copy())
    one, _ = trained(rows, given(mini_batch_size="50", epochs="1"))
    other, _ = trained(turned, given(mini_batch_size="50", epochs="1"))
    assert (one.predictor.weights != other.predictor.weights).any()


def test_weights_for_scaled_features_give_the_same_outputs_on_features_as_they_are():
    rows = examples(300, "regressor")
    scaler = scaling.fit(rows, given("regressor", num_point_for_scaler="100"))
    weights, bias = DRAW.normal(size=(4, 3)), DRAW.normal(size=3)
    raw_weights, raw_bias = scaler.unscaled(weights, bias)
    scaled = (rows.features - scaler.mean) / scaler.scale @ weights + bias
    assert np.allclose(
        rows.features @ raw_weights + raw_bias, scaled * scaler.label_scale + scaler.label_mean, rtol=1e-4
    )
    assert np.allclose(rows.features[:100].astype(np.float64).mean(axis=0), scaler.mean)


@pytest.mark.parametrize(
    ("others", "shifted", "scaled"),
    [
        ({}, True, True),
        ({"normalize_data": "false"}, True, False),
        ({"normalize_data": "false", "unbias_data": "false"}, False, False),
        ({"use_bias": "false"}, False, True),
        ({"use_bias": "false", "unbias_data": "true"}, True, True),
    ],
)
def test_features_are_shifted_and_scaled_as_asked(others, shifted, scaled):
    found = scaling.fit(examples(), given(**others))
    assert (found.mean.any(), (found.scale != 1).any()) == (shifted, scaled)
    assert (found.label_mean, found.label_scale) == (0, 1)


def test_a_column_that_never_changes_does_no_harm():
    rows = examples()
    rows.features[:, 3] = 5
    chosen, _ = trained(rows, given(mini_batch_size="50"))
    assert np.isfinite(chosen.predictor.weights).all()


def test_without_bias_there_is_none_and_l1_makes_weights_zero():
    rows = examples()
    chosen, _ = trained(rows, given(mini_batch_size="50", use_bias="false", num_models="1"))
    assert chosen.predictor.bias.tolist() == [0]
    sparse, _ = trained(rows, given(mini_batch_size="50", l1="0.5", num_models="1", learning_rate="0.01"))
    assert sparse.predictor.weights[3] == 0 and (sparse.predictor.weights[:3] != 0).all()


def test_auto_is_32_models_with_the_given_parameters_first_and_none_where_zero_is_said():
    tried = candidates.make(given(), 1.0)
    assert len(tried) == len(set(tried)) == 32
    fixed = candidates.make(given(learning_rate="0.3", wd="0", l1="0"), 1.0)
    assert fixed[0] == Candidate(0.3, 0.0, 0.0) and {(each.wd, each.l1) for each in fixed} == {(0, 0)}
    assert len(candidates.make(given(num_models="40"), 1.0)) == 40
    weights = {
        each.positive_weight for each in candidates.make(given(positive_example_weight_mult="auto"), 3.0)
    }
    assert weights == {1.0, 3.0}
    assert candidates.make(given(positive_example_weight_mult="balanced"), 3.0)[0].positive_weight == 3.0


def test_heavier_positives_are_found_more_often():
    rows = examples(1000)
    noisy = Rows(
        rows.features, np.where(DRAW.random(1000) < 0.3, 1 - rows.labels, rows.labels).astype(np.float32)
    )
    plain = {
        "mini_batch_size": "50",
        "num_models": "1",
        "binary_classifier_model_selection_criteria": "loss_function",
    }
    said = []
    for weight in ("1.0", "5.0"):
        chosen, _ = trained(noisy, given(**plain, positive_example_weight_mult=weight))
        said.append(chosen.predictor.labels(chosen.predictor.scores(noisy.features)).mean())
    assert said[1] > said[0] + 0.2


def brute_force(values, labels, criterion):
    """The best value of a criterion over every border between two scores, the slow way."""
    borders = [*sorted(set(values)), max(values) + 1]
    return max(criterion(values >= border, labels == 1) for border in borders)


CRITERIA = {
    "accuracy": lambda said, truth: (said == truth).mean(),
    "f_beta": lambda said, truth: (
        5
        * (said & truth).sum()
        / (5 * (said & truth).sum() + 4 * (~said & truth).sum() + (said & ~truth).sum())
    ),
    "precision_at_target_recall": lambda said, truth: (
        (said & truth).sum() / said.sum() if (said & truth).sum() >= 0.7 * truth.sum() else 0
    ),
    "recall_at_target_precision": lambda said, truth: (
        (said & truth).sum() / truth.sum() if said.any() and (said & truth).sum() >= 0.7 * said.sum() else 0
    ),
}


@pytest.mark.parametrize("name", CRITERIA)
def test_the_threshold_is_the_best_of_all(name):
    hyper = given(
        binary_classifier_model_selection_criteria=name,
        f_beta="2",
        target_recall="0.7",
        target_precision="0.7",
    )
    for _ in range(20):
        labels = DRAW.integers(0, 2, 60)
        labels[:2] = 0, 1
        values = np.round(labels * 1.5 + DRAW.normal(size=60), 1).astype(np.float32)  # with equal scores
        threshold, value = thresholds.best(values, labels, hyper)
        assert value == pytest.approx(brute_force(values, labels, CRITERIA[name]))
        assert CRITERIA[name](values >= np.float32(threshold), labels == 1) == pytest.approx(value)


def test_a_precision_that_is_never_reached_gives_the_threshold_nearest_to_it():
    hyper = given(
        binary_classifier_model_selection_criteria="recall_at_target_precision", target_precision="0.99"
    )
    threshold, value = thresholds.best(np.array([0.9, 0.8, 0.1], np.float32), np.array([0, 1, 0]), hyper)
    assert 0.1 < threshold <= 0.8 and value < 0


def test_the_area_under_the_curve_counts_pairs():
    values, labels = np.round(DRAW.random(80), 1), DRAW.integers(0, 2, 80)
    good, bad = values[labels == 1], values[labels == 0]
    pairs = np.mean([(g > b) + 0.5 * (g == b) for g in good for b in bad])
    assert scores.area(values, labels) == pytest.approx(pairs)
    assert np.isnan(scores.area(values, np.ones(80)))


def test_metrics_of_many_classes_are_those_counted_by_hand():
    predictor = Predictor(np.eye(3), np.zeros(3), "multiclass_classifier", "softmax_loss", 0.0)
    rows = Rows(
        np.array([[3, 2, 1], [1, 3, 2], [3, 1, 2], [2, 1, 3]], np.float32), np.array([0, 1, 1, 2], np.float32)
    )
    hyper = given("multiclass_classifier", num_classes="3", accuracy_top_k="2")
    found = scores.measure(predictor, rows, hyper)
    assert found["multiclass_accuracy"] == 0.75 and found["multiclass_top_k_accuracy_2"] == 0.75
    assert found["macro_recall"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert found["macro_precision"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert found["dcg"] == pytest.approx((1 + 1 + 0.5 + 1) / 4)


def test_early_stopping_waits_as_long_as_asked_for_an_improvement_that_counts():
    patience = choice.Patience(given(early_stopping_patience="2", early_stopping_tolerance="0.1"), True)
    assert [patience.is_best(value) for value in (1.0, 0.95)] == [True, True] and not patience.is_over
    assert patience.is_best(0.8) and patience.epochs_without == 0  # a fifth less than what last counted
    assert not patience.is_best(0.9) and not patience.is_over
    assert patience.is_best(0.79) and patience.is_over  # the best, and too little of an improvement


def test_a_criterion_that_is_given_decides_when_to_stop_and_otherwise_the_loss():
    rows, held_out = examples(), examples()
    _, said = trained(rows, given(mini_batch_size="50"), held_out)
    assert "criteria=binary_classification_cross_entropy_objective" in said
    asked = given(mini_batch_size="50", binary_classifier_model_selection_criteria="accuracy")
    assert "criteria=sampled_accuracy" in trained(rows, asked, held_out)[1]
    assert "sampled_accuracy" not in trained(rows, asked)[1]  # without validation data it is the loss


def test_training_ends_before_its_last_epoch_once_nothing_improves():
    asked = given(
        mini_batch_size="50", epochs="40", early_stopping_patience="2", early_stopping_tolerance="0.5"
    )
    said = trained(examples(), asked)[1]
    assert "Early stop condition met" in said
    assert 2 < said.count("#quality_metric: host=algo-1, epoch=") < 40


def test_the_bias_moves_and_decays_at_rates_of_its_own():
    asked = {"optimizer": "sgd", "momentum": "0", "use_lr_scheduler": "false", "init_bias": "1"}
    hyper = given("regressor", **asked, bias_lr_mult="10", bias_wd_mult="3", mini_batch_size="1")
    learner = learning.Learner([Candidate(0.01, 0.1, 0)], 4, hyper)
    # What it says is right already, so that the decay alone moves it: by 0.01 * 10 of 0.1 * 3.
    learner.epoch(Rows(np.zeros((1, 4), np.float32), np.ones(1, np.float32)), lambda: False)
    assert learner.bias.tolist() == pytest.approx([1 - 0.01 * 10 * 0.1 * 3])


def test_a_stop_keeps_the_model_so_far():
    asked = iter([False] * 15 + [True] * 1000)
    _, said = trained(examples(), given(mini_batch_size="50"), stopped=lambda: next(asked))
    assert said.count("#progress_metric") == 2 and "Told to stop" in said


def test_models_that_diverge_are_left_out_of_the_choice():
    rows = examples()
    hyper = given(mini_batch_size="50", num_models="2")
    scaler = scaling.fit(rows, hyper)
    weights = np.array([[np.nan, 1.0]] * 4, np.float32)
    chosen = choice.choose(weights, np.zeros(2, np.float32), scaler, rows, np.array([np.nan, 0.5]), hyper)
    assert chosen.model == 1


def test_the_learning_rate_falls_by_steps_and_not_below_its_minimum():
    hyper = given(
        lr_scheduler_step="2", lr_scheduler_factor="0.5", lr_scheduler_minimum_lr="0.2", mini_batch_size="1"
    )
    learner = learning.Learner([Candidate(1.0, 0, 0)], 4, hyper)
    rates = []
    for _ in range(8):
        rates.append(float(learner.rate()[0]))
        learner.epoch(Rows(*(each[:1] for each in vars(examples(1)).values())), lambda: False)
    assert rates == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2])


@pytest.mark.parametrize(
    ("predictor_type", "others", "names"),
    [
        (
            "binary_classifier",
            {},
            "objective_loss binary_classification_accuracy binary_f_beta precision recall roc_auc_score",
        ),
        ("regressor", {}, "objective_loss mse absolute_loss"),
        (
            "multiclass_classifier",
            {"num_classes": "3"},
            "objective_loss multiclass_accuracy multiclass_top_k_accuracy dcg macro_recall macro_precision "
            "macro_f_beta",
        ),
    ],
)
def test_sagemaker_finds_its_metrics_in_the_lines(predictor_type, others, names):
    rows, hyper = examples(300, predictor_type), given(predictor_type, mini_batch_size="50", **others)
    chosen, said = trained(rows, hyper, rows)
    end = io.StringIO()
    for channel in ("validation", "test"):
        Log("algo-1", end).final(channel, scores.measure(chosen.predictor, rows, hyper))
    lines = (said + end.getvalue()).splitlines()
    found = {
        name: [float(hit[1]) for line in lines if (hit := re.search(regex, line))]
        for name, regex in jobmetrics.BUILT_IN["linear-learner"]
    }
    epochs = said.count("#progress_metric")
    assert len(found["train:objective_loss"]) == len(found["validation:objective_loss"]) == epochs > 1
    assert found["train:objective_loss"][-1] < found["train:objective_loss"][0]
    assert (
        found["train:progress"][0] == pytest.approx(100 / 15, abs=0.01) and found["train:throughput"][0] > 0
    )
    for name in names.split():
        assert len(found[f"test:{name}"]) == 1, name
    final = scores.measure(chosen.predictor, rows, hyper)
    assert found["test:objective_loss"] == [next(iter(final.values()))]

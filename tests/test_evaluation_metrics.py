"""Calibration: against a plain loop, and against simulated classifiers whose truth is known."""

import numpy as np
import pytest

from skeegformer.evaluation.metrics import expected_calibration_error, reliability_curve


def draw(n_epochs, n_classes, random_state=0):
    """Return labels, probabilities and classes without any relation."""
    rng = np.random.default_rng(random_state)
    classes = np.array([f"class {k}" for k in range(n_classes)])
    return rng.choice(classes, n_epochs), rng.dirichlet(np.ones(n_classes), n_epochs), classes


def loop(y_true, proba, classes, n_bins):
    """Compute the error as the paper writes it: B_m holds confidences in ((m-1)/M, m/M]."""
    error = 0.0
    for m in range(1, n_bins + 1):
        hits, sure = [], []
        for label, row in zip(y_true, proba, strict=True):
            if (m - 1) / n_bins < max(row) <= m / n_bins:
                hits.append(classes[list(row).index(max(row))] == label)
                sure.append(max(row))
        if hits:
            error += len(hits) / len(y_true) * abs(np.mean(hits) - np.mean(sure))
    return error


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("n_bins", [1, 7, 10])
def test_error_is_that_of_a_plain_loop(n_classes, n_bins):
    y, proba, classes = draw(200, n_classes)
    found = expected_calibration_error(y, proba, classes=classes, n_bins=n_bins)
    assert found == pytest.approx(loop(y, proba, classes, n_bins))


def test_confidences_on_the_edge_belong_to_the_lower_bin():
    proba = np.array([[0.3, 0.3, 0.4], [0.5, 0.2, 0.3], [0.1, 0.6, 0.3], [1.0, 0.0, 0.0]])
    _, _, count = reliability_curve([0, 0, 0, 0], proba, classes=[0, 1, 2], n_bins=10)
    assert count.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 1]


def test_curve_of_a_calibrated_and_an_overconfident_classifier():
    """Labels are drawn from the probabilities, so that accuracy is confidence in the long run."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.02, 0.98, 200_000)
    y = np.where(rng.uniform(size=len(truth)) < truth, "right", "left")
    options = {"classes": ["left", "right"]}
    proba = np.column_stack([1 - truth, truth])
    assert expected_calibration_error(y, proba, **options) < 0.005
    accuracy, confidence, count = reliability_curve(y, proba, **options)
    assert count[:5].sum() == 0
    assert np.isnan(accuracy[:5]).all()
    np.testing.assert_allclose(accuracy[5:], confidence[5:], atol=0.01)
    # Twice the log odds: of confidence c it is right only as often as the truth says.
    sharp = truth**2 / (truth**2 + (1 - truth) ** 2)
    proba = np.column_stack([1 - sharp, sharp])
    expected = np.mean(np.maximum(sharp, 1 - sharp) - np.maximum(truth, 1 - truth))
    assert expected_calibration_error(y, proba, **options) == pytest.approx(expected, abs=0.005)
    accuracy, confidence, _ = reliability_curve(y, proba, **options)
    assert (accuracy[6:] < confidence[6:]).all()


def test_float32_and_labels_of_any_type():
    y, proba, classes = draw(50, 3)
    expected = expected_calibration_error(y, proba, classes=classes)
    numbers = np.searchsorted(classes, y)
    found = expected_calibration_error(numbers, proba.astype(np.float32), classes=[0, 1, 2])
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_bins": 0}, "n_bins=0 is not a whole number of at least 1"),
        ({"n_bins": 2.5}, "n_bins=2.5 is not a whole number"),
        ({"proba": [0.3, 0.7]}, r"shape \(2,\), the labels \(2,\), and there are 2 classes"),
        ({"y_true": []}, "at least one epoch"),
        ({"proba": [[0.3, 0.7], [0.3, 0.3]]}, r"of 1 epochs .* such as \[0.3, 0.3\] of epoch 1"),
        ({"proba": [[-0.2, 1.2], [0.5, 0.5]]}, "negative, NaN or do not add up to 1"),
        ({"proba": [[np.nan, 1.0], [0.5, 0.5]]}, "negative, NaN or do not add up to 1"),
        ({"classes": ["a", "a"]}, "has a class twice"),
        ({"y_true": ["a", "c"]}, "The labels have 'c', which is none of the classes 'a', 'b'"),
    ],
)
def test_bad_input(change, message):
    given = {"y_true": ["a", "b"], "proba": [[0.3, 0.7], [0.4, 0.6]], "classes": ["a", "b"]}
    given |= change
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(given.pop("y_true"), given.pop("proba"), **given)

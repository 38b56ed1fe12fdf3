"""Reliability: points, histogram and error are those of the metrics."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skeegformer.evaluation.metrics import expected_calibration_error, reliability_curve
from skeegformer.plotting import ReliabilityDisplay


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    truth = rng.uniform(size=300)
    y = np.where(rng.uniform(size=300) < truth, "right", "left")
    return y, np.column_stack([1 - truth, truth])


def test_points_and_histogram_are_those_of_the_curve(predictions):
    y, proba = predictions
    display = ReliabilityDisplay.from_predictions(
        y, proba, classes=["left", "right"], n_bins=8, name="a"
    )
    options = {"classes": ["left", "right"], "n_bins": 8}
    accuracy, confidence, count = reliability_curve(y, proba, **options)
    x, drawn = display.lines_["a"].get_data()
    np.testing.assert_allclose(x, confidence[4:])
    np.testing.assert_allclose(drawn, accuracy[4:])
    heights, edges, _ = display.bars_["a"].get_data()
    np.testing.assert_allclose(heights, 100 * count / 300)
    np.testing.assert_allclose(edges, np.linspace(0, 1, 9))
    error = expected_calibration_error(y, proba, **options)
    assert display.ax_.get_title() == f"a\nexpected calibration error {error:.3f}"


def test_several_models_share_a_figure(predictions):
    y, proba = predictions
    flat = 0.5 + 0.2 * (proba - 0.5)
    display = ReliabilityDisplay.from_predictions(
        y, {"sharp": proba, "flat": flat}, classes=["left", "right"]
    )
    error = expected_calibration_error(y, flat, classes=["left", "right"])
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend[1] == f"flat ({error:.3f})"
    # Whoever is never sure lies above the diagonal.
    x, accuracy = display.lines_["flat"].get_data()
    assert (accuracy[1:] > x[1:]).all()
    colours = {line.get_color() for line in display.lines_.values()}
    assert len(colours) == 2


def test_estimator_and_given_axes(predictions):
    y, proba = predictions
    classifier = LogisticRegression().fit(proba, y)
    figure, axes = plt.subplots(2)
    display = ReliabilityDisplay.from_estimator(classifier, proba, y, ax=axes)
    assert display.figure_ is figure
    error = expected_calibration_error(
        y, classifier.predict_proba(proba), classes=classifier.classes_
    )
    assert display.errors[""] == error
    assert display.ax_.get_title() == f"expected calibration error {error:.3f}"


def test_bad_input(predictions):
    y, proba = predictions
    with pytest.raises(ValueError, match="LinearSVC has no predict_proba"):
        ReliabilityDisplay.from_estimator(LinearSVC().fit(proba, y), proba, y)
    with pytest.raises(ValueError, match="There are no curves to draw"):
        ReliabilityDisplay({}).plot()
    with pytest.raises(ValueError, match="2 panels, but 1 axes"):
        ReliabilityDisplay.from_predictions(
            y, proba, classes=["left", "right"], ax=plt.subplots()[1]
        )
    with pytest.raises(ValueError, match="n_bins=0 is not a whole number"):
        ReliabilityDisplay.from_predictions(y, proba, classes=["left", "right"], n_bins=0)

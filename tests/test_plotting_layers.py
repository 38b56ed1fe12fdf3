"""Layers as lines and as a heat map."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from explanation_factory import CH_NAMES, make_explanation

from skeegformer import (
    AttentionExplainer,
    EEGTransformerClassifier,
    OriginalTransformerClassifier,
)
from skeegformer.plotting import LayerDisplay
from skeegformer.plotting._regions import region_order
from skeegformer.plotting.layers import _spread


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_lines_of_the_largest_channels_after_the_last_layer():
    one = make_explanation()
    display = LayerDisplay.from_explanation(one, n_top=4)
    means = 100 * one.layer_values.mean(axis=0)
    np.testing.assert_array_equal(display.order_, np.argsort(-means[-1])[:4])
    for line, channel in zip(display.lines_, display.order_, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_allclose(line.get_ydata(), means[:, channel])
    written = [text.get_text() for text in display.ax_.texts]
    assert written == [*(CH_NAMES[i] for i in display.order_), "19 others"]
    assert len(display.ax_.lines) == len(CH_NAMES)


def test_heat_map_is_ordered_by_region():
    one = make_explanation()
    display = LayerDisplay.from_explanation(one, kind="heatmap")
    means = 100 * one.layer_values.mean(axis=0)
    order = region_order(CH_NAMES)
    np.testing.assert_allclose(display.image_.get_array(), means[:, order].T)
    ticks = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert ticks == [CH_NAMES[i] for i in order]
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["1", "2", "3"]


def test_signed_layers_are_white_at_zero():
    display = LayerDisplay([[1.0, -3.0], [2.0, 0.5]], signed=True).plot(kind="heatmap")
    assert display.image_.get_clim() == (-3, 3)
    assert display.image_.get_cmap().name == "RdBu_r"


def test_labels_are_moved_apart_and_no_further_than_needed():
    heights = np.array([5.0, 1.0, 1.1, 9.0, 0.9])
    spread = _spread(heights, gap=1.0)
    np.testing.assert_array_equal(np.argsort(spread), np.argsort(heights))
    assert np.diff(np.sort(spread)).min() >= 1 - 1e-9
    np.testing.assert_allclose(spread[[0, 3]], [5, 9])
    np.testing.assert_allclose(np.sort(spread)[:3], [0, 1, 2])


def test_bad_input():
    with pytest.raises(ValueError, match="by 'rollout' has no values of layers"):
        LayerDisplay.from_explanation(replace(make_explanation(), layer_values=None))
    with pytest.raises(ValueError, match="kind='bars' is not one of 'lines', 'heatmap'"):
        LayerDisplay(np.ones((2, 3))).plot(kind="bars")
    with pytest.raises(ValueError, match=r"layers need \(n_layers, n_chans\)"):
        LayerDisplay(np.ones(3)).plot()
    with pytest.raises(ValueError, match="n_top=0 leaves no line"):
        LayerDisplay(np.ones((2, 3))).plot(n_top=0)


def test_from_estimator_with_unnamed_channels(simulated):
    X, y, _, _ = simulated
    data = X.get_data(units="uV")
    classifier = OriginalTransformerClassifier(
        embed_dim=16, n_heads=4, n_layers=3, n_time_tokens=2, max_epochs=1, early_stopping=False,
        random_state=0,
    ).fit(data, y)  # fmt: skip
    display = LayerDisplay.from_estimator(classifier, data[:6], y[:6], n_top=1)
    assert display.ax_.texts[0].get_text() == f"channel {display.order_[0]}"
    sums = np.sum([line.get_ydata() for line in display.ax_.lines], axis=0)
    np.testing.assert_allclose(sums, 100, rtol=1e-5)  # shares of each layer add up
    layers = AttentionExplainer().explain(classifier, data[:6]).layer_values
    assert layers.shape == (6, 3, 64)
    heights = 100 * layers.mean(axis=0)[:, display.order_[0]]
    np.testing.assert_allclose(display.lines_[0].get_ydata(), heights, rtol=1e-5)


def test_a_network_without_blocks_has_no_layers_to_draw(simulated):
    X, y, _, _ = simulated
    classifier = EEGTransformerClassifier(n_heads=4, max_epochs=1).fit(X[:20], y[:20])
    with pytest.raises(ValueError, match="by 'rollout' has no values of layers"):
        LayerDisplay.from_estimator(classifier, X[:6], y[:6])

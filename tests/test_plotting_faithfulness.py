"""Curves of deletion and insertion."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skeegformer.explain import Faithfulness
from skeegformer.plotting import FaithfulnessDisplay


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def curves():
    """Straight lines from 1 to an end of their own, in no order; 0.1 to either side."""
    fraction = np.array([1.0, 0.0, 0.5])
    ends = {"explanation": 0.4, "random": 0.8, "oracle": 0.2}
    frames = [
        pd.DataFrame({"curve": curve, "order": order, "n_channels": 64 * fraction})
        .assign(mean=1 - fraction * (1 - end))
        .assign(low=lambda frame: frame["mean"] - 0.1, high=lambda frame: frame["mean"] + 0.1)
        for curve in ("insertion", "deletion")
        for order, end in ends.items()
    ]
    return pd.concat(frames, ignore_index=True)


def test_lines_bands_and_areas(curves):
    display = FaithfulnessDisplay(curves).plot()
    line = display.lines_["deletion", "oracle"]
    np.testing.assert_allclose(line.get_xdata(), [0, 32, 64])
    np.testing.assert_allclose(line.get_ydata(), [1, 0.6, 0.2])
    assert display.areas_["deletion", "oracle"] == pytest.approx(0.6)
    assert display.areas_["insertion", "random"] == pytest.approx(0.9)
    assert display.ax_.get_title().startswith("Deletion")
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["explanation (area 0.70)", "oracle (area 0.60)", "random (area 0.90)"]
    band = display.ax_.collections[1].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.1)
    assert band[:, 1].max() == pytest.approx(1.1)


def test_the_verdict_is_written_below_a_figure_of_its_own(curves):
    verdict = "Faithful: " + "it costs $5 and $6 to say so at length. " * 4
    result = Faithfulness(curves, {}, verdict, True)
    display = result.plot()
    assert display.caption_.get_text().replace("\n", " ") == verdict.strip()
    display.figure_.draw_without_rendering()
    box = display.caption_.get_window_extent()
    assert box.x1 <= display.figure_.bbox.x1
    assert box.y0 >= 0
    _, axes = plt.subplots(1, 2)
    assert result.plot(ax=axes).caption_ is None


def test_one_curve_alone(curves):
    display = FaithfulnessDisplay(curves[curves["curve"] == "insertion"]).plot()
    assert len(display.axes_) == 1
    assert display.ax_.get_xlabel() == "channels inserted"


def test_bad_input(curves):
    with pytest.raises(ValueError, match="lack the columns low, high"):
        FaithfulnessDisplay(curves.drop(columns=["low", "high"])).plot()
    with pytest.raises(ValueError, match="curve 'removal', which is none of 'deletion'"):
        FaithfulnessDisplay(curves.replace("deletion", "removal")).plot()
    with pytest.raises(ValueError, match="order 'best'"):
        FaithfulnessDisplay(curves.replace("oracle", "best")).plot()
    with pytest.raises(ValueError, match="nothing to draw"):
        FaithfulnessDisplay(curves[:0]).plot()
    with pytest.raises(ValueError, match="There are 2 panels, but 1 axes"):
        FaithfulnessDisplay(curves).plot(ax=plt.subplots()[1])

"""Curves of deletion and insertion."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from explanation_factory import make_curves

from skeegformer.explain import Faithfulness
from skeegformer.plotting import FaithfulnessDisplay


@pytest.fixture
def curves():
    return make_curves()


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


def test_one_curve_alone_and_bad_input(curves):
    display = FaithfulnessDisplay(curves[curves["curve"] == "insertion"]).plot()
    assert [axes.get_xlabel() for axes in display.axes_] == ["channels inserted"]
    for table, message in (
        (curves.drop(columns=["low", "high"]), "lack the columns low, high"),
        (curves.replace("deletion", "removal"), "curve='removal' is not one of 'deletion'"),
        (curves.replace("oracle", "best"), "order='best'"),
        (curves[:0], "nothing to draw"),
    ):
        with pytest.raises(ValueError, match=message):
            FaithfulnessDisplay(table).plot()

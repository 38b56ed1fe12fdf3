"""Matrices of connections: order, diagonal, limits, differences."""

from dataclasses import replace

import numpy as np
import pytest
from explanation_factory import CH_NAMES, make_explanation

from skeegformer.plotting import TokenMatrixDisplay


def test_rows_and_columns_are_ordered_by_region():
    names = ["O1", "C3", "Fz"]
    matrix = np.array([[1.0, 12, 13], [21, 2, 23], [31, 32, 3]])
    display = TokenMatrixDisplay(matrix, names, ["one"]).plot(diagonal=True)
    np.testing.assert_array_equal(
        display.images_[0].get_array(), [[3, 32, 31], [23, 2, 21], [13, 12, 1]]
    )
    for ticks in (display.ax_.get_xticklabels(), display.ax_.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["Fz", "C3", "O1"]
    assert "query" in display.ax_.get_ylabel()
    assert "key" in display.ax_.get_xlabel()
    display = TokenMatrixDisplay(matrix + matrix.T, names).plot()
    assert display.ax_.get_xlabel() == display.ax_.get_ylabel() == ""


def test_the_diagonal_does_not_take_the_range_of_colours():
    one = make_explanation()
    mean = 100 * one.connections.mean(axis=0)
    others = mean[~np.eye(len(mean), dtype=bool)]
    hidden = one.plot_matrix()
    np.testing.assert_allclose(hidden.images_[0].get_clim(), (0, others.max()))
    assert np.ma.getmaskarray(hidden.images_[0].get_array()).diagonal().all()
    shown = one.plot_matrix(diagonal=True)
    np.testing.assert_allclose(shown.images_[0].get_clim(), (0, mean.max()))


def test_a_difference_between_classes():
    one = make_explanation()
    display = one.plot_matrix(by="class", difference=("left", "right"))
    assert [axes.get_title() for axes in display.axes_] == ["left", "right", "left − right"]
    raw = one.connections[one.y == "left"].mean(0) - one.connections[one.y == "right"].mean(0)
    np.testing.assert_allclose(display.differences[0], 100 * raw)
    np.fill_diagonal(raw, 0)
    limit = 100 * abs(raw).max()
    assert display.images_[2].get_clim() == pytest.approx((-limit, limit))
    assert display.images_[0].get_clim() == display.images_[1].get_clim()
    assert display.difference_colorbar_.ax.get_ylabel() == "difference (% points)"


def test_many_channels_are_labelled_by_region_and_separated():
    display = make_explanation().plot_matrix(names=False)
    regions = ["frontal", "central", "temporal", "parietal", "occipital"]
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == regions
    # 8 frontal channels lie at 0 to 7: their label in the middle, the first line behind them.
    assert display.ax_.get_xticks()[0] == 3.5
    vertical = [
        line.get_xdata()[0] for line in display.ax_.lines if len(set(line.get_xdata())) == 1
    ]
    assert vertical == [7.5, 12.5, 14.5, 19.5]


def test_unnamed_channels_keep_their_order():
    one = make_explanation(named=False)
    display = one.plot_matrix()
    np.testing.assert_array_equal(display.order_, np.arange(len(CH_NAMES)))
    assert display.ax_.get_xticklabels()[2].get_text() == "channel 2"
    assert not display.ax_.lines


def test_bad_input():
    one = make_explanation()
    with pytest.raises(ValueError, match=r"AttentionExplainer\(connections=True\)"):
        replace(one, connections=None).plot_matrix()
    with pytest.raises(ValueError, match="by='part' is not one of"):
        one.plot_matrix(by="part")
    with pytest.raises(ValueError, match=r"shape \(2, 3\), but 3 channels need \(n_maps, 3, 3\)"):
        TokenMatrixDisplay(np.ones((2, 3))).plot()
    with pytest.raises(ValueError, match="within a single channel"):
        TokenMatrixDisplay(np.ones((1, 1))).plot()

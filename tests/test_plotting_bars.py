"""Bars: their lengths, intervals and order."""

from dataclasses import replace

import numpy as np
import pytest
from explanation_factory import CH_NAMES, make_explanation
from scipy import stats

from skeegformer.plotting import ChannelBarDisplay


def labels(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def ends(display):
    """Return the drawn intervals, from top to bottom."""
    return np.array([segment[:, 0] for segment in display.interval_lines_.get_segments()])


def test_bars_are_the_means_from_the_largest_on():
    one = make_explanation()
    display = one.plot_bars(n_top=5)
    means = 100 * one.values.mean(axis=0)
    largest = np.sort(means)[::-1][:5]
    np.testing.assert_allclose([bar.get_width() for bar in display.bars_], largest)
    assert labels(display) == [CH_NAMES[i] for i in np.argsort(-means)[:5]]
    assert display.ax_.yaxis_inverted()  # the first bar is on top
    display = one.select(epochs=[3]).plot_bars()
    assert display.interval_lines_ is None
    assert display.ax_.get_xlabel() == "share of attention (%)"


def test_bars_and_intervals_are_those_of_the_explanation():
    """Means over subjects, each of the same weight however many epochs it has."""
    one = make_explanation().select(epochs=np.arange(3, 24))
    display = one.plot_bars(n_top=None)
    table = 100 * one.confidence_intervals(by=None, random_state=0).iloc[display.order_]
    means = 100 * one.subject_means(by=None).mean().to_numpy()[display.order_]
    np.testing.assert_allclose(ends(display), table[["low", "high"]])
    np.testing.assert_allclose([bar.get_width() for bar in display.bars_], means)
    assert "95 % bootstrap interval over 4 subjects" in display.ax_.get_xlabel()


@pytest.mark.parametrize("subjects", [None, np.ones(24)])
def test_bootstrap_over_epochs_where_there_are_no_subjects_to_draw(subjects):
    one = replace(make_explanation(), subjects=subjects)
    display = one.plot_bars(n_top=None)
    assert "over 24 epochs" in display.ax_.get_xlabel()
    error = 100 * one.values.std(axis=0, ddof=1) / np.sqrt(24)
    expected = 2 * stats.t.ppf(0.975, 23) * error[display.order_]
    np.testing.assert_allclose(np.ptp(ends(display), axis=1), expected, rtol=0.08)


def test_bars_of_values_with_signs_go_from_the_largest_to_the_smallest():
    display = make_explanation("integrated-gradients").plot_bars(n_top=None)
    widths = [bar.get_width() for bar in display.bars_]
    assert min(widths) < 0 < max(widths)
    assert widths == sorted(widths, reverse=True)


def test_unnamed_channels_and_names_that_look_like_formulas(tmp_path):
    display = ChannelBarDisplay([1.0, 3.0, 2.0]).plot()
    assert labels(display) == ["channel 1", "channel 2", "channel 0"]
    display = ChannelBarDisplay([1.0, 2.0], ["$x", r"$\nothing{$"]).plot()
    display.figure_.savefig(tmp_path / "names.png")
    assert labels(display) == [r"$\nothing{$", "$x"]

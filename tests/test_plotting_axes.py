"""Bars, curves, sources and scores: what is drawn are the numbers that were given."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest
from explanation_factory import CH_NAMES, make_curves, make_explanation, make_info
from scipy import stats
from scores_factory import TASKS, make_scores

from skeegformer.explain import Faithfulness
from skeegformer.plotting import TopomapDisplay, plot_scores
from skeegformer.plotting.patterns import draw_patterns


def names_of(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def bars_of(ax):
    """Return the lengths of bars and their intervals, from top to bottom."""
    ends = [segment[:, 0] for lines in ax.collections for segment in lines.get_segments()]
    return np.array([bar.get_width() for bar in ax.patches]), np.array(ends)


def test_bars_are_means_over_subjects_from_the_largest_on():
    """Each subject has the same weight, however many epochs it has."""
    one = make_explanation().select(epochs=np.arange(3, 24))
    ax = one.plot_bars(n_top=None)
    means = 100 * one.subject_means(by=None).mean()
    order = means.sort_values(ascending=False).index
    lengths, ends = bars_of(ax)
    assert names_of(ax) == list(order)
    assert ax.yaxis_inverted()  # the first bar is on top
    np.testing.assert_allclose(lengths, means[order])
    table = 100 * one.confidence_intervals(by=None, random_state=0).loc[order]
    np.testing.assert_allclose(ends, table[["low", "high"]])
    assert "95 % bootstrap interval over 4 subjects" in ax.get_xlabel()
    assert names_of(one.plot_bars(n_top=5)) == list(order[:5])
    ax = one.select(epochs=[3]).plot_bars()
    assert not len(bars_of(ax)[1])
    assert ax.get_xlabel() == "share of attention (%)"


@pytest.mark.parametrize("subjects", [None, np.ones(24)])
def test_bootstrap_over_epochs_where_there_are_no_subjects_to_draw(subjects):
    one = replace(make_explanation(), subjects=subjects)
    ax = one.plot_bars(n_top=None)
    assert "over 24 epochs" in ax.get_xlabel()
    error = 100 * one.values.std(axis=0, ddof=1) / np.sqrt(24)
    expected = 2 * stats.t.ppf(0.975, 23) * error[np.argsort(-one.values.mean(axis=0))]
    np.testing.assert_allclose(np.ptp(bars_of(ax)[1], axis=1), expected, rtol=0.08)


def test_bars_with_signs_and_names_that_look_like_formulas(tmp_path):
    one = make_explanation("integrated-gradients")
    lengths, _ = bars_of(one.plot_bars(n_top=None))
    assert lengths.min() < 0 < lengths.max()
    assert lengths.tolist() == sorted(lengths, reverse=True)
    odd = replace(one, ch_names=["$x", r"$\nothing{$", *CH_NAMES[2:]], info=None)
    ax = odd.plot_bars(n_top=None)
    ax.figure.savefig(tmp_path / "names.png")
    assert {"$x", r"$\nothing{$"} <= set(names_of(ax))
    assert "channel 0" in names_of(replace(odd, ch_names=None).plot_bars(n_top=None))


def test_curves_of_deletion_and_insertion():
    verdict = "Faithful: " + "it costs $5 and $6 to say so at length. " * 4
    result = Faithfulness(make_curves(), {}, verdict, {})
    axes = result.plot()
    assert [ax.get_xlabel() for ax in axes] == ["channels removed", "channels inserted"]
    legend = axes[0].get_legend().get_texts()
    texts = [text.get_text() for text in legend]
    assert texts == ["explanation (area 0.70)", "oracle (area 0.60)", "random (area 0.90)"]
    np.testing.assert_allclose(axes[0].lines[1].get_data(), [[0, 32, 64], [1, 0.6, 0.2]])
    band = axes[0].collections[1].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [0.1, 1.1])
    figure = axes[0].figure
    assert figure.get_supxlabel().replace("\n", " ") == verdict.strip()
    figure.draw_without_rendering()
    box = figure._supxlabel.get_window_extent()
    assert box.x1 <= figure.bbox.x1
    assert box.y0 >= 0
    figure, axes = plt.subplots(1, 2)
    assert result.plot(axes)[0].figure is figure
    assert figure.get_supxlabel() == ""


def test_sources_are_drawn_as_they_were_given():
    rng, info, n_chans = np.random.default_rng(0), make_info(), len(CH_NAMES)
    sources = SimpleNamespace(
        filters=rng.normal(size=(3, n_chans)),
        patterns=5 * rng.normal(size=(3, n_chans)),
        frequencies=np.arange(1.0, 41.0),
        responses=rng.random((3, 40)),
        spectra=rng.random((3, 40)),
        times=np.linspace(0.2, 1.8, 9),
        weights=rng.normal(size=(3, 2, 9)),
        classes=["left", "right", "left"],
    )
    axes = draw_patterns(sources, info, ["a", "b", "c"])
    for k, row in enumerate(axes):
        for panel, one in zip(row[:2], (sources.filters[k], sources.patterns[k]), strict=True):
            (image,) = panel.images
            limit = abs(one).max()
            assert image.get_clim() == (-limit, limit)  # white is 0
            alone = TopomapDisplay(one, info, signed=True).plot().images_[0]
            np.testing.assert_allclose(image.get_array(), alone.get_array())
        for line, curves in zip(row[2].lines, (sources.responses, sources.spectra), strict=True):
            np.testing.assert_array_equal(line.get_data(), [sources.frequencies, curves[k]])
        lines = {line.get_label(): line.get_data() for line in row[3].lines}
        for values, name in zip(sources.weights[k], ("log power", "mean"), strict=True):
            np.testing.assert_array_equal(lines[name], [sources.times, values])
        assert row[3].get_ylim() == axes[0, 3].get_ylim()  # sources compare
    titles = [row[0].texts[-1] for row in axes]
    assert [title.get_text() for title in titles] == ["a\nfor left", "b\nfor right", "c\nfor left"]
    colours = [title.get_color() for title in titles]
    assert colours[0] == colours[2] != colours[1]
    assert axes[2, 2].get_xlabel() == "frequency (Hz)"
    caption = axes[0, 0].figure.get_supxlabel().replace("\n", " ")
    assert "signs of a filter and its pattern" in caption

    info["chs"][0]["loc"][:3] = 0.0
    with pytest.warns(UserWarning, match="Not drawn: Fp1"):
        axes = draw_patterns(sources, info, ["a", "b", "c"], plt.subplots(3, 4)[1])
    rest = mne.pick_info(info, range(1, n_chans))
    alone = TopomapDisplay(sources.patterns[1][1:], rest, signed=True).plot().images_[0]
    np.testing.assert_allclose(axes[1, 1].images[0].get_array(), alone.get_array())


def test_scores_are_of_subjects_and_marks_their_means():
    scores = make_scores()
    axes = plot_scores(scores)
    assert [panel.get_title() for panel in axes] == list(scores["task"].unique())
    overall = scores.groupby("pipeline")["balanced_accuracy"].mean()
    names = names_of(axes[0])
    assert names == list(overall.sort_values(ascending=False).index)
    rows = scores[scores["task"] == TASKS[0]]
    by_subject = rows.groupby(["pipeline", "subject"])["balanced_accuracy"].mean()
    drawn = np.sort(np.concatenate([c.get_offsets()[:, 0] for c in axes[0].collections]))
    np.testing.assert_allclose(drawn, np.sort(by_subject))
    means = [x for line in axes[0].lines if line.get_marker() == "D" for x in line.get_xdata()]
    np.testing.assert_allclose(means, by_subject.groupby("pipeline").mean()[names])
    scores = scores.drop(columns="balanced_accuracy")
    errors = scores.groupby("pipeline")["brier_score"].mean().sort_values()
    assert names_of(plot_scores(scores, "brier_score")[0]) == list(errors.index)
    mixed = make_scores().assign(protocol=lambda table: np.arange(len(table)) % 2)
    with pytest.raises(ValueError, match="several protocols"):
        plot_scores(mixed)

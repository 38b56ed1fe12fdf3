"""Figures of a benchmark: what is drawn are the numbers of the statistics."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scores_factory import TASKS, make_scores

from skeegformer.evaluation.statistics import (
    ALL_TASKS,
    compare_pipelines,
    meta_analysis,
    rank_pipelines,
)
from skeegformer.plotting import (
    CriticalDifferenceDisplay,
    LearningCurveDisplay,
    MetaAnalysisDisplay,
    PairedScoresDisplay,
    ScoresDisplay,
)
from skeegformer.plotting.critical_difference import _levels


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def texts_that_overlap(ax):
    """Count pairs of texts in a panel, drawn before, that hide each other."""
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    return sum(
        one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[k + 1 :]
    )  # fmt: skip


def is_inside(figure):
    """Tell whether all that is drawn is on the canvas of a figure."""
    figure.canvas.draw()
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    return min(box.x0, box.y0) > -0.01 and box.x1 < width + 0.01 and box.y1 < height + 0.01


def test_scores_are_means_with_intervals_of_subjects():
    scores = make_scores(4, 9, TASKS[:2], kinds=("strict", "transductive"), seeds=(0, 1))
    display = ScoresDisplay.from_scores(scores, level=0.9, chance={TASKS[0]: 0.5})
    assert [axes.get_title() for axes in display.axes_] == list(TASKS[:2])
    subjects = scores.groupby(["information", "task", "pipeline", "subject"])
    subjects = subjects["balanced_accuracy"].mean()
    for key, mean in display.means_.items():
        assert mean == pytest.approx(subjects.loc[key].mean())
    assert len(display.means_) == 2 * 2 * 4
    for kind in ("strict", "transductive"):
        # The best by the mean over both tasks first.
        means = subjects.loc[kind].groupby("pipeline").mean().sort_values(ascending=False)
        assert [name for one, name in display.rows_ if one == kind] == means.index.tolist()
    assert [kind for kind, _ in display.rows_] == ["strict"] * 4 + ["transductive"] * 4
    drawn = sorted(
        tuple(segment[:, 0])
        for lines in display.ax_.collections
        for segment in lines.get_segments()
    )
    expected = [
        stats.t.interval(0.9, 8, values.mean(), stats.sem(values))
        for (_, task, name), values in subjects.groupby(["information", "task", "pipeline"])
        if task == TASKS[0] and name != "chance"
    ]
    chance = [(0.5, 0.5)] * 2
    np.testing.assert_allclose(drawn, sorted([*expected, *chance]))
    assert is_inside(display.figure_)


def test_scores_of_some_subjects_say_so_and_order_can_be_kept():
    scores = make_scores(3, 6)
    scores = scores[(scores["pipeline"] != "CSP+LDA") | (scores["subject"] > 2)]
    display = ScoresDisplay.from_scores(scores, order="table")
    assert [name for _, name in display.rows_] == ["chance", "CSP+LDA", "tangent space+LR"]
    assert "4 of 6 subjects" in [text.get_text() for text in display.ax_.texts]


def test_less_error_comes_first():
    scores = make_scores(4, 6)
    display = ScoresDisplay.from_scores(scores, metric="calibration_error")
    means = scores.groupby("pipeline")["calibration_error"].mean().sort_values()
    assert [name for _, name in display.rows_] == means.index.tolist()


def test_pairs_are_the_subjects_of_both_pipelines():
    scores = make_scores(4, 12, TASKS[:2], seeds=(0, 1))
    display = PairedScoresDisplay.from_scores(scores, "MDM", "CSP+LDA")
    rows = compare_pipelines(
        scores[scores["pipeline"].isin(["MDM", "CSP+LDA"])], "CSP+LDA"
    ).set_index("task")
    for axes, task in zip(display.axes_, TASKS[:2], strict=True):
        part = scores[scores["task"] == task]
        means = part.groupby(["subject", "pipeline"])["balanced_accuracy"].mean().unstack()
        x, y = display.points_[task].get_data()
        np.testing.assert_allclose(x, means["CSP+LDA"])
        np.testing.assert_allclose(y, means["MDM"])
        x, y = display.means_[task].get_data()
        assert (x[0], y[0]) == pytest.approx((means["CSP+LDA"].mean(), means["MDM"].mean()))
        assert axes.get_xlim() == axes.get_ylim()
        texts = [text.get_text() for text in axes.texts]
        assert any(f"p = {rows.loc[task, 'p_wilcoxon']:.3f}" in text for text in texts)
        assert any(f"{rows.loc[task, 'wins']} won" in text for text in texts)
        named = sorted(name for text in texts[1:] for name in text.split(", "))
        assert named == sorted(f"S{k}" for k in range(1, 13))
    assert is_inside(display.figure_)
    assert sum(map(texts_that_overlap, display.axes_)) == 0


def test_many_subjects_are_named_only_if_asked_for():
    scores = make_scores(3, 25)
    display = PairedScoresDisplay.from_scores(scores, "CSP+LDA", "chance")
    assert len(display.ax_.texts) == 1
    named = PairedScoresDisplay.from_scores(scores, "CSP+LDA", "chance", labels=True)
    assert len(named.ax_.texts) > 15


@pytest.mark.parametrize("test", ["nemenyi", "wilcoxon"])
def test_ranks_and_cliques_are_drawn_where_they_are(test):
    scores = make_scores(8, 20, gain=0.02)
    ranking = rank_pipelines(scores, test=test)
    display = CriticalDifferenceDisplay.from_scores(scores, test=test)
    for name, rank in ranking.mean_ranks.items():
        assert display.markers_[name].get_xdata()[0] == rank
    assert len(display.bars_) == len(ranking.cliques) >= 2
    for bar, clique in zip(display.bars_, ranking.cliques, strict=True):
        low, high = bar.get_xdata()
        covered = [name for name, rank in ranking.mean_ranks.items() if low <= rank <= high]
        assert set(clique) <= set(covered)
    texts = [text.get_text() for text in display.ax_.texts]
    named = [text for text in texts if text.startswith("critical difference")]
    if test == "nemenyi":
        assert named == [f"critical difference {ranking.critical_difference:.2f}"]
    else:
        assert named == []
    assert is_inside(display.figure_)
    assert texts_that_overlap(display.ax_) == 0


def test_bars_that_would_touch_are_on_levels_of_their_own():
    cliques = [("a", "b", "c"), ("b", "c", "d"), ("e", "f")]
    assert _levels(cliques, list("abcdef")) == [0, 1, 0]
    assert _levels([("a", "b"), ("b", "c")], list("abc")) == [0, 1]


def test_effects_of_tasks_and_all_of_them():
    scores = make_scores(5, 12, TASKS)
    display = MetaAnalysisDisplay.from_scores(scores, "CSP+LDA")
    rows = compare_pipelines(scores, "CSP+LDA").set_index(["pipeline", "task"])
    combined = meta_analysis(scores, "CSP+LDA").set_index("pipeline")
    assert [axes.get_title() for axes in display.axes_] == combined.index.tolist()
    for (pipeline, task), marker in display.markers_.items():
        row = rows.loc[(pipeline, ALL_TASKS if task == "combined" else task)]
        effect = combined.loc[pipeline, "effect"] if task == "combined" else row["d_z"]
        assert marker.get_xdata()[0] == effect
        assert (marker.get_markerfacecolor() == "white") == (row["p_holm"] >= 0.05)
    assert len(display.markers_) == 4 * 5
    ends = [
        tuple(segment[:, 0])
        for lines in display.ax_.collections
        for segment in lines.get_segments()
    ]
    expected = rows.loc["chance"].drop(ALL_TASKS)[["d_low", "d_high"]].to_numpy().tolist()
    expected.append(combined.loc["chance", ["low", "high"]].tolist())
    np.testing.assert_allclose(ends, expected)
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names == [*TASKS, "combined"]
    assert is_inside(display.figure_)


def test_effects_of_one_pipeline_are_corrected_for_one():
    scores = make_scores(5, 12, TASKS[:1])
    display = MetaAnalysisDisplay.from_scores(scores, "CSP+LDA", pipelines="MDM")
    row = compare_pipelines(scores, "CSP+LDA").set_index("pipeline").loc["MDM"]
    assert [text.get_text() for text in display.ax_.texts] == [f"p = {row['p_wilcoxon']:.3f}"]
    assert list(display.markers_) == [("MDM", TASKS[0])]


def test_effects_without_spread_have_no_marker():
    scores = make_scores(2, 6)
    scores["balanced_accuracy"] = np.where(scores["pipeline"] == "chance", 0.5, 0.7)
    display = MetaAnalysisDisplay.from_scores(scores, "chance")
    assert display.markers_ == {}
    assert "alike" in display.ax_.texts[0].get_text()


def sizes(*numbers, n_pipelines=3, tasks=TASKS[:1]):
    parts = [make_scores(n_pipelines, 8, tasks, random_state=n) for n in numbers]
    return pd.concat(
        part.assign(n_train_subjects=n) for part, n in zip(parts, numbers, strict=True)
    )


def test_learning_curves_are_means_at_each_size():
    scores = sizes(2, 4, 8, tasks=TASKS[:2])
    display = LearningCurveDisplay.from_scores(scores, chance=0.5)
    means = scores.groupby(["task", "pipeline", "n_train_subjects"])["balanced_accuracy"].mean()
    for key, line in display.lines_.items():
        np.testing.assert_allclose(line.get_xdata(), [2, 4, 8], rtol=0.1)
        np.testing.assert_allclose(line.get_ydata(), means.loc[key])
    assert len(display.lines_) == 2 * 3
    values = scores.query("pipeline == 'CSP+LDA' and n_train_subjects == 4")
    values = values[values["task"] == TASKS[1]]["balanced_accuracy"]
    row = display.curves.query("pipeline == 'CSP+LDA' and size == 4").set_index("task")
    expected = stats.t.interval(0.95, 7, values.mean(), stats.sem(values))
    np.testing.assert_allclose(row.loc[TASKS[1], ["low", "high"]].astype(float), expected)
    assert is_inside(display.figure_)


def test_wide_ranges_are_logarithmic_unless_there_is_a_zero():
    assert LearningCurveDisplay.from_scores(sizes(2, 8, 32)).ax_.get_xscale() == "log"
    assert LearningCurveDisplay.from_scores(sizes(0, 8, 32)).ax_.get_xscale() == "linear"
    assert LearningCurveDisplay.from_scores(sizes(2, 8)).ax_.get_xscale() == "linear"


def test_sizes_of_different_subjects_are_no_curve():
    scores = make_scores(2, 8)
    scores["n_train_subjects"] = np.where(scores["subject"] < 5, 5, 6)
    with pytest.raises(ValueError, match="scores of S5-S8 with n_train_subjects = 6, but of S1-S4"):
        LearningCurveDisplay.from_scores(scores)


def test_largest_benchmark_fits_on_its_figures():
    scores = make_scores(16, 12, TASKS, kinds=("strict", "transductive"), gain=0.012)
    strict = scores[scores["information"] == "strict"]
    for display in (
        ScoresDisplay.from_scores(scores),
        CriticalDifferenceDisplay.from_scores(strict),
        MetaAnalysisDisplay.from_scores(strict, "CSP+LDA"),
    ):
        assert is_inside(display.figure_)
        assert sum(map(texts_that_overlap, display.figure_.axes)) == 0


def test_axes_that_are_given_are_used():
    figure, axes = plt.subplots(1, 2)
    scores = make_scores(3, 6, TASKS[:2])
    display = ScoresDisplay.from_scores(scores, ax=axes)
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes)
    with pytest.raises(ValueError, match="There are 2 panels, but 1 axes"):
        ScoresDisplay.from_scores(scores, ax=axes[0])
    _, one = plt.subplots()
    assert CriticalDifferenceDisplay.from_scores(scores, ax=one).ax_ is one


def test_bad_input():
    scores = make_scores(3, 4, kinds=("strict", "transductive"))
    with pytest.raises(ValueError, match="mix 2 kinds of information"):
        PairedScoresDisplay.from_scores(scores, "CSP+LDA", "chance")
    strict = scores[scores["information"] == "strict"]
    with pytest.raises(ValueError, match="'CSP' is no pipeline in the scores; there are 'chance'"):
        PairedScoresDisplay.from_scores(strict, "CSP", "chance")
    with pytest.raises(ValueError, match="'chance' cannot be compared with itself"):
        PairedScoresDisplay.from_scores(strict, "chance", "chance")
    with pytest.raises(ValueError, match="pipelines has 'CSP', which is not in the scores"):
        MetaAnalysisDisplay.from_scores(strict, "chance", pipelines=["CSP"])
    with pytest.raises(ValueError, match="order='best' is not one of 'mean', 'table'"):
        ScoresDisplay.from_scores(strict, order="best")
    with pytest.raises(ValueError, match="size='n_calibration' is no column of numbers"):
        LearningCurveDisplay.from_scores(strict, size="n_calibration")
    with pytest.raises(ValueError, match="The curves lack the columns mean, low, high"):
        LearningCurveDisplay(pd.DataFrame(columns=["task", "pipeline", "size"])).plot()

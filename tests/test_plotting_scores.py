"""Figures of scores: what is drawn are the numbers of the table."""

import numpy as np
import pytest
from scores_factory import TASKS, make_scores

from skeegformer.plotting import plot_scores


def test_points_are_subjects_and_marks_their_means():
    scores = make_scores()
    axes = plot_scores(scores)
    assert [panel.get_title() for panel in axes] == list(scores["task"].unique())
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    overall = scores.groupby("pipeline")["balanced_accuracy"].mean()
    assert names == list(overall.sort_values(ascending=False).index)
    rows = scores[scores["task"] == TASKS[0]]
    by_subject = rows.groupby(["pipeline", "subject"])["balanced_accuracy"].mean()
    drawn = np.sort(np.concatenate([c.get_offsets()[:, 0] for c in axes[0].collections]))
    np.testing.assert_allclose(drawn, np.sort(by_subject))
    means = [x for line in axes[0].lines if line.get_marker() == "D" for x in line.get_xdata()]
    expected = by_subject.groupby("pipeline").mean()[names]
    np.testing.assert_allclose(means, expected)


def test_less_error_comes_first_and_bad_input():
    scores = make_scores().drop(columns="balanced_accuracy")
    panel = plot_scores(scores, "brier_score")[0]
    errors = scores.groupby("pipeline")["brier_score"].mean().sort_values()
    assert [label.get_text() for label in panel.get_yticklabels()] == list(errors.index)
    mixed = make_scores().assign(protocol=lambda table: np.arange(len(table)) % 2)
    with pytest.raises(ValueError, match="several protocols"):
        plot_scores(mixed)

"""Mean ranks of pipelines, and which of them cannot be told apart."""

import numpy as np

from skeegformer.plotting._benchmark import p_text
from skeegformer.plotting._style import OKABE_ITO, open_axes

_ROW = 0.24  # inches from one name to the next


class CriticalDifferenceDisplay:
    """Mean ranks on a line; bars join pipelines that the data cannot tell apart.

    After [1]_. Best made by `from_scores` or `from_ranking`.

    Parameters
    ----------
    ranking : Ranking
        The result of `rank_pipelines`.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes; across are ranks, the best at the left.
    markers_ : dict of str to matplotlib.lines.Line2D
        The line from each pipeline's mean rank to its name.
    bars_ : list of matplotlib.lines.Line2D
        The bar of each clique of the ranking.

    References
    ----------
    .. [1] Demšar (2006), Statistical comparisons of classifiers over multiple data sets.
       JMLR 7, 1-30.

    Examples
    --------
    >>> import matplotlib, pandas as pd
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import CriticalDifferenceDisplay
    >>> scores = pd.DataFrame({
    ...     "pipeline": ["A", "B", "C"] * 6,
    ...     "subject": [s for s in range(6) for _ in range(3)],
    ...     "balanced_accuracy": [0.9, 0.7, 0.5, 0.8, 0.7, 0.6] * 3,
    ... })
    >>> len(CriticalDifferenceDisplay.from_scores(scores).bars_)
    2
    """

    def __init__(self, ranking):
        self.ranking = ranking

    @classmethod
    def from_ranking(cls, ranking, **kwargs):
        """Draw the result of `rank_pipelines`.

        Parameters
        ----------
        ranking : Ranking
            What to draw.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        CriticalDifferenceDisplay
            Drawn.
        """
        return cls(ranking).plot(**kwargs)

    @classmethod
    def from_scores(
        cls, scores, *, metric="balanced_accuracy", test="nemenyi", alpha=0.05, **kwargs
    ):
        """Rank the pipelines of a table of scores, and draw that.

        Parameters
        ----------
        scores : pandas.DataFrame
            As for `compare_pipelines`.
        metric : {"balanced_accuracy", "roc_auc", "calibration_error"}
            What decides on the ranks, "balanced_accuracy" by default.
        test : {"nemenyi", "wilcoxon"}, default="nemenyi"
            How pairs are compared, see `rank_pipelines`.
        alpha : float, default=0.05
            The level of significance.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        CriticalDifferenceDisplay
            Drawn.

        Raises
        ------
        ValueError
            As `rank_pipelines`.
        """
        from skeegformer.evaluation.ranking import rank_pipelines

        return cls(rank_pipelines(scores, metric=metric, test=test, alpha=alpha)).plot(**kwargs)

    def plot(self, ax=None):
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CriticalDifferenceDisplay
            Itself, drawn.
        """
        ranking = self.ranking
        ranks, n_pipelines = ranking.mean_ranks, len(ranking.mean_ranks)
        n_left = (n_pipelines + 1) // 2
        # Downwards, in rows: the bars of the cliques, then the names of either side.
        levels = _levels(ranking.cliques, list(ranks.index))
        first_name = 0.9 + 0.45 * (max(levels, default=-1) + 1)
        top = -2.4 if ranking.critical_difference else -1.2
        bottom = first_name + n_left - 0.4
        (self.ax_,) = open_axes(ax, 1, figsize=(8.0, 0.5 + _ROW * (bottom - top)))
        self.figure_ = self.ax_.figure
        self.ax_.set_ylim(bottom, top)
        # Names are written in the margins, which are as wide as the longest.
        margin = (n_pipelines - 1) * min(0.6, 0.05 + 0.0135 * max(map(len, map(str, ranks.index))))
        self.ax_.set_xlim(1 - margin, n_pipelines + margin)
        self._draw_scale(n_pipelines)
        self._draw_names(ranks, n_left, first_name, margin)
        self.bars_ = []
        for clique, level in zip(ranking.cliques, levels, strict=True):
            ends = ranks[clique[0]] - 0.06, ranks[clique[-1]] + 0.06
            height = 0.55 + 0.45 * level
            (bar,) = self.ax_.plot(
                ends,
                (height, height),
                color=OKABE_ITO[0],
                linewidth=3.5,
                solid_capstyle="butt",
                zorder=4,
            )
            self.bars_.append(bar)
        if ranking.critical_difference:
            self._draw_distance(ranking.critical_difference)
        test = "Nemenyi's test" if ranking.test == "nemenyi" else "Wilcoxon's tests with Holm's"
        self.ax_.set_title(
            f"Mean rank over {ranking.n_subjects} subjects "
            f"(Friedman's test {p_text(ranking.p_friedman)})\n"
            f"bars join what {test}{' correction' * (ranking.test != 'nemenyi')} cannot tell "
            f"apart at {ranking.alpha:g}",
            fontsize="small",
        )
        self.ax_.axis("off")
        return self

    def _draw_scale(self, n_pipelines):
        """Draw the line of ranks; the axes' own would run below the names too."""
        self.ax_.plot((1, n_pipelines), (0, 0), color="black", linewidth=1.0)
        for rank in range(1, n_pipelines + 1):
            self.ax_.plot((rank, rank), (-0.3, 0), color="black", linewidth=1.0)
            self.ax_.text(rank, -0.4, str(rank), ha="center", va="bottom", fontsize="small")
        for rank in np.arange(1.5, n_pipelines):
            self.ax_.plot((rank, rank), (-0.15, 0), color="black", linewidth=0.6)

    def _draw_names(self, ranks, n_left, first_name, margin):
        """Lead from each rank to a name: the better half at the left, the rest at the right."""
        self.markers_ = {}
        for k, (name, rank) in enumerate(ranks.items()):
            is_left = k < n_left
            row = first_name + (k if is_left else len(ranks) - 1 - k)
            # The line ends shortly before the first (last) rank of the scale.
            end = 1 - 0.02 * margin if is_left else len(ranks) + 0.02 * margin
            (self.markers_[name],) = self.ax_.plot(
                (rank, rank, end), (0, row, row), color="0.35", linewidth=0.9, zorder=3
            )
            text = f"{name}  {rank:.2f}" if is_left else f"{rank:.2f}  {name}"
            self.ax_.text(
                1 - 0.06 * margin if is_left else len(ranks) + 0.06 * margin,
                row,
                text,
                ha="right" if is_left else "left",
                va="center",
                fontsize="small",
                parse_math=False,
            )

    def _draw_distance(self, distance):
        """Draw the critical difference above the scale, from its first rank on."""
        height = -1.7
        self.ax_.plot((1, 1 + distance), (height, height), color="black", linewidth=1.4)
        for end in (1, 1 + distance):
            self.ax_.plot((end, end), (height - 0.2, height + 0.2), color="black", linewidth=1.4)
        self.ax_.text(
            1 + distance / 2,
            height - 0.2,
            f"critical difference {distance:.2f}",
            ha="center",
            va="bottom",
            fontsize="small",
        )


def _levels(cliques, names):
    """Put each bar as high as bars that it would touch allow."""
    ends, levels = [], []
    for clique in cliques:
        start, end = names.index(clique[0]), names.index(clique[-1])
        level = next((k for k, last in enumerate(ends) if last < start), len(ends))
        ends[level : level + 1] = [end]
        levels.append(level)
    return levels

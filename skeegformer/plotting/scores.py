"""Scores of many pipelines on every task, with each subject."""

import numpy as np

from skeegformer.plotting._benchmark import KIND_COLOURS
from skeegformer.plotting._style import GREY, open_axes


class ScoresDisplay:
    """Mean scores with intervals, and every subject's, a panel for each task.

    Pipelines that use nothing of the test subjects stay apart from those that do. Best made
    by `from_scores`.

    Parameters
    ----------
    tables : dict of (str, str) to pandas.DataFrame
        For each kind of information and task subjects x pipelines; NaN where there is no
        score.
    metric : str, default="balanced_accuracy"
        What was measured.
    level : float, default=0.95
        How often the t intervals should hold the true mean over subjects.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes
        A panel for each task.
    ax_ : matplotlib.axes.Axes
        The first of them.
    rows_ : list of (str, str)
        Kind of information and pipeline of each row, from top to bottom.
    means_ : dict of (str, str, str) to float
        The mean of each kind, task and pipeline.

    See Also
    --------
    skeegformer.evaluation.tables.scores_table : The same as a table.

    Examples
    --------
    >>> import matplotlib, pandas as pd
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import ScoresDisplay
    >>> scores = pd.DataFrame({
    ...     "pipeline": ["CSP+LDA"] * 3 + ["transformer"] * 3,
    ...     "subject": [1, 2, 3] * 2,
    ...     "balanced_accuracy": [0.5, 0.6, 0.7, 0.6, 0.8, 0.8],
    ... })
    >>> [pipeline for _, pipeline in ScoresDisplay.from_scores(scores).rows_]
    ['transformer', 'CSP+LDA']
    """

    def __init__(self, tables, *, metric="balanced_accuracy", level=0.95):
        self.tables = tables
        self.metric = metric
        self.level = level

    @classmethod
    def from_scores(cls, scores, *, metric="balanced_accuracy", level=0.95, **kwargs):
        """Draw a table of scores.

        Parameters
        ----------
        scores : pandas.DataFrame
            As for `compare_pipelines`, of one protocol, and any number of tasks and kinds of
            information.
        metric : {"balanced_accuracy", "roc_auc", "calibration_error"}
            What to draw, "balanced_accuracy" by default.
        level : float, default=0.95
            How often the intervals should hold the true mean.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ScoresDisplay
            Drawn.

        Raises
        ------
        ValueError
            If columns are missing, or protocols are mixed.
        """
        from skeegformer.evaluation._subjects import check_scores, subject_table

        scores = check_scores(scores, metric, one=("protocol",))
        groups = scores.groupby(["information", "task"], sort=False)
        tables = {kind_and_task: subject_table(rows, metric) for kind_and_task, rows in groups}
        return cls(tables, metric=metric, level=level).plot(**kwargs)

    def plot(self, ax=None, *, order="mean", chance=None):
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each task; None makes a figure.
        order : {"mean", "table"}, default="mean"
            Whether the best pipeline comes first, by the mean over tasks, or the order is
            that of the table.
        chance : float, dict of str to float or None, default=None
            The score of guessing, for all tasks or by task; drawn as a line.

        Returns
        -------
        ScoresDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If `order` is something else, or axes do not fit the tasks.
        """
        from skeegformer._validation import check_one_of
        from skeegformer.evaluation._paired_tests import check_share

        check_one_of("order", order, ("mean", "table"))
        check_share("level", self.level, 0.95)
        tasks = list(dict.fromkeys(task for _, task in self.tables))
        self.rows_ = self._order(order)
        kinds = [kind for kind, _ in self.rows_]
        # A gap between kinds of information.
        places = np.arange(len(kinds)) + 0.9 * np.array(
            [len(dict.fromkeys(kinds[: k + 1])) - 1 for k in range(len(kinds))]
        )
        n_columns = len(tasks)
        longest = max(len(pipeline) for _, pipeline in self.rows_)
        self.axes_ = open_axes(
            ax,
            n_columns,
            ncols=n_columns,
            figsize=(0.6 + 0.075 * longest + 2.7 * n_columns, 1.2 + 0.25 * (places[-1] + 1)),
            sharex=True,
            sharey=True,
        )
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.means_ = {}
        for axes, task in zip(self.axes_, tasks, strict=True):
            self._draw_task(axes, task, places)
            level = chance.get(task) if isinstance(chance, dict) else chance
            if level is not None:
                axes.axvline(level, color="0.4", linewidth=1.0, linestyle=":", zorder=1)
        size = "small" if len(self.rows_) <= 24 else "x-small"
        names = [pipeline for _, pipeline in self.rows_]
        self.ax_.set_yticks(places, names, fontsize=size, parse_math=False)
        self.ax_.set_ylim(places[-1] + 0.7, -0.7)
        self._name_kinds(kinds, places)
        if ax is None:
            self._explain_marks()
        return self

    def _order(self, order):
        """Return kind and pipeline of each row."""
        rows = []
        for kind in dict.fromkeys(kind for kind, _ in self.tables):
            tables = [table for (one, _), table in self.tables.items() if one == kind]
            names = list(dict.fromkeys(name for table in tables for name in table))
            if order == "mean":
                from skeegformer.evaluation._subjects import METRICS

                sign = -1 if METRICS[self.metric][1] else 1
                # A pipeline without a task would rank by whether that task is easy.
                means = {
                    name: np.mean([table[name].mean() for table in tables if name in table])
                    for name in names
                }
                names.sort(key=lambda name: sign * np.nan_to_num(means[name], nan=sign * np.inf))
            rows += [(kind, name) for name in names]
        return rows

    def _draw_task(self, ax, task, places):
        from skeegformer.evaluation._paired_tests import mean_interval
        from skeegformer.evaluation._subjects import METRICS

        for place, (kind, pipeline) in zip(places, self.rows_, strict=True):
            table = self.tables.get((kind, task))
            if table is None or pipeline not in table or table[pipeline].isna().all():
                continue
            values = table[pipeline].dropna().to_numpy()
            colour = KIND_COLOURS.get(kind, GREY)
            spread = np.linspace(-0.22, 0.22, len(values)) if len(values) > 1 else [0.0]
            ax.plot(
                values, place + np.asarray(spread), "o", color=colour, alpha=0.35, markersize=3,
                markeredgewidth=0, zorder=2,
            )  # fmt: skip
            low, high = mean_interval(values, self.level)
            mean = float(values.mean())
            ax.hlines(place, low, high, color="black", linewidth=1.6, zorder=3)
            ax.plot(
                mean, place, "D", color=colour, markeredgecolor="black", markersize=5.5, zorder=4
            )
            self.means_[kind, task, pipeline] = mean
            if len(values) < len(table):
                ax.annotate(
                    f"{len(values)} of {len(table)} subjects",
                    (1.0, place),
                    xycoords=("axes fraction", "data"),
                    ha="right",
                    va="bottom",
                    fontsize=5,
                    color="0.4",
                )
        ax.set_title(task, fontsize="medium", parse_math=False)
        ax.set_xlabel(METRICS[self.metric][0], fontsize="small")
        ax.tick_params(axis="x", labelsize="small")
        ax.tick_params(axis="y", length=0)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.grid(axis="x", color="0.9")
        ax.set_axisbelow(True)

    def _name_kinds(self, kinds, places):
        """Write the kinds of information at the right edge."""
        for kind in dict.fromkeys(kinds):
            if kind:
                mine = places[[one == kind for one in kinds]]
                self.axes_[-1].annotate(
                    kind,
                    (1.03, mine.mean()),
                    xycoords=("axes fraction", "data"),
                    rotation=-90,
                    va="center",
                    fontsize="small",
                    color=KIND_COLOURS.get(kind, GREY),
                    fontweight="bold",
                )

    def _explain_marks(self):
        """Say below the figure what points and lines are."""
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], marker="o", linestyle="none", color="0.6", markersize=4),
            Line2D([], [], marker="D", color="black", markerfacecolor="0.6", markersize=5.5),
        ]
        labels = ["a subject", f"mean and its {100 * self.level:g} % interval"]
        self.figure_.legend(
            handles, labels, loc="outside lower center", ncols=2, fontsize="small", frameon=False
        )

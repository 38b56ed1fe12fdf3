"""How scores grow with the number of training subjects, or of calibration epochs."""

import numpy as np
import pandas as pd

from skeegformer.plotting._benchmark import grid_of, pipeline_looks, tidy
from skeegformer.plotting._style import open_axes

_COLUMNS = ("task", "pipeline", "size", "mean", "low", "high")
_LABELS = {
    "n_train_subjects": "training subjects",
    "n_train_epochs": "training epochs",
    "n_calibration": "calibration epochs of each class",
}


class LearningCurveDisplay:
    """Mean scores over subjects against the size of the training set, with intervals.

    Best made by `from_scores`.

    Parameters
    ----------
    curves : pandas.DataFrame
        Columns ``task``, ``pipeline``, ``size``, ``mean``, ``low`` and ``high``.
    metric : str, default="balanced_accuracy"
        What was measured.
    size_label : str, default="training subjects"
        What the sizes are.
    level : float, default=0.95
        How often the intervals hold the true mean.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes
        A panel for each task.
    ax_ : matplotlib.axes.Axes
        The first of them.
    lines_ : dict of (str, str) to matplotlib.lines.Line2D
        The curve of each task and pipeline.

    Examples
    --------
    >>> import matplotlib, pandas as pd
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import LearningCurveDisplay
    >>> scores = pd.DataFrame({
    ...     "pipeline": "CSP+LDA",
    ...     "n_train_subjects": [2, 2, 2, 4, 4, 4],
    ...     "subject": [1, 2, 3] * 2,
    ...     "balanced_accuracy": [0.5, 0.6, 0.7, 0.6, 0.8, 0.8],
    ... })
    >>> display = LearningCurveDisplay.from_scores(scores)
    >>> display.lines_["", "CSP+LDA"].get_xdata().tolist()
    [2.0, 4.0]
    """

    def __init__(
        self,
        curves,
        *,
        metric="balanced_accuracy",
        size_label="training subjects",
        level=0.95,
    ):
        self.curves = curves
        self.metric = metric
        self.size_label = size_label
        self.level = level

    @classmethod
    def from_scores(
        cls, scores, *, size="n_train_subjects", metric="balanced_accuracy", level=0.95, **kwargs
    ):
        """Draw a table of scores that has several sizes of training set.

        Parameters
        ----------
        scores : pandas.DataFrame
            As for `compare_pipelines`, with the same subjects for every size of a pipeline.
        size : str, default="n_train_subjects"
            The column that tells the size; rows that differ in it alone are no repetitions.
        metric : {"balanced_accuracy", "roc_auc", "calibration_error"}
            What to draw, "balanced_accuracy" by default.
        level : float, default=0.95
            How often the t intervals should hold the true mean.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        LearningCurveDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the column is missing, has no numbers, or some size has other subjects than
            another, so that the curve would compare people rather than sizes.
        """
        from skeegformer.evaluation._paired_tests import check_share, mean_interval
        from skeegformer.evaluation._subjects import check_scores, complete_table, name_subjects

        check_share("level", level, 0.95)
        if size not in scores or not pd.api.types.is_numeric_dtype(scores[size]):
            raise ValueError(
                f"size={size!r} is no column of numbers in the scores; a benchmark with several "
                "sizes of training set has one."
            )
        scores = check_scores(scores, metric, apart=[size])
        rows, members = [], {}
        for (task, pipeline, number), part in scores.groupby(
            ["task", "pipeline", size], sort=False
        ):
            values = complete_table(part, metric)[pipeline]
            known = members.setdefault((task, pipeline), (number, set(values.index)))
            if known[1] != set(values.index):
                raise ValueError(
                    f"{pipeline!r} has scores of {name_subjects(values.index)} with {size} = "
                    f"{number}, but of {name_subjects(known[1])} with {known[0]}: a curve needs "
                    "the same subjects for every size. Folds of unequal sizes have to be given "
                    "one common number."
                )
            low, high = mean_interval(values, level)
            rows.append((task, pipeline, number, values.mean(), float(low), float(high)))
        curves = pd.DataFrame(rows, columns=list(_COLUMNS))
        label = _LABELS.get(size, size)
        return cls(curves, metric=metric, size_label=label, level=level).plot(**kwargs)

    def plot(self, ax=None, *, chance=None, log=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each task; None makes a figure.
        chance : float, dict of str to float or None, default=None
            The score of guessing, for all tasks or by task; drawn as a line.
        log : bool or None, default=None
            Whether sizes are drawn on a logarithmic axis; None does so where the largest is
            at least 16 times the smallest and none is 0.

        Returns
        -------
        LearningCurveDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If the curves lack a column, are empty, or axes do not fit the tasks.
        """
        missing = [column for column in _COLUMNS if column not in self.curves]
        if missing or len(self.curves) == 0:
            raise ValueError(
                f"The curves lack the columns {', '.join(missing)}."
                if missing
                else "The curves are empty: there is nothing to draw."
            )
        tasks = list(dict.fromkeys(self.curves["task"]))
        pipelines = list(dict.fromkeys(self.curves["pipeline"]))
        n_rows, n_columns = grid_of(len(tasks), 2)
        longest = max(map(len, pipelines))
        self.axes_ = open_axes(
            ax,
            len(tasks),
            nrows=n_rows,
            ncols=n_columns,
            sharey=True,
            figsize=(1.0 + 0.075 * longest + 3.6 * n_columns, 0.4 + 3.0 * n_rows),
        )
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.lines_ = {}
        looks = pipeline_looks(pipelines)
        sizes = np.sort(self.curves["size"].unique())
        if log is None:
            log = sizes[0] > 0 and sizes[-1] >= 16 * sizes[0]
        for axes, task in zip(self.axes_, tasks, strict=True):
            self._draw(axes, task, looks, sizes, log)
            level = chance.get(task) if isinstance(chance, dict) else chance
            if level is not None:
                axes.axhline(level, color="0.4", linewidth=1.0, linestyle=":", zorder=1)
        self._explain(looks, own_figure=ax is None)
        return self

    def _draw(self, ax, task, looks, sizes, log):
        from skeegformer.evaluation._subjects import METRICS

        ax.set_xscale("log" if log else "linear")
        # A little apart, or the intervals of many pipelines would hide each other.
        place = np.log(sizes) if log else sizes.astype(float)
        step = np.diff(place).min(initial=np.ptp(place) or 1.0)
        reach = min(0.12, 0.02 * (len(looks) - 1)) * step
        shifts = np.linspace(-reach, reach, len(looks))
        curves = self.curves[self.curves["task"] == task].sort_values("size", kind="stable")
        for shift, (pipeline, look) in zip(shifts, looks.items(), strict=True):
            rows = curves[curves["pipeline"] == pipeline]
            if rows.empty:
                continue
            x = rows["size"].to_numpy()
            x = x * np.exp(shift) if log else x + shift
            ax.vlines(x, rows["low"], rows["high"], color=look["color"], alpha=0.4, linewidth=1.3)
            (self.lines_[task, pipeline],) = ax.plot(
                x, rows["mean"], label=pipeline, linewidth=1.5, markersize=4.5, **look
            )
        # All sizes are named where there is room.
        if len(sizes) <= 8:
            ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
            ax.minorticks_off()
        ax.set_title(task, fontsize="medium", parse_math=False)
        ax.set_xlabel(self.size_label, fontsize="small", parse_math=False)
        ax.set_ylabel(METRICS[self.metric][0], fontsize="small")
        ax.tick_params(labelsize="small")
        tidy(ax)

    def _explain(self, looks, *, own_figure):
        """Name the pipelines beside the figure, in the axes if they belong to somebody else."""
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
        options = {"fontsize": "small", "frameon": False, "handlelength": 2.8}
        title = f"mean over subjects,\n{100 * self.level:g} % intervals"
        if own_figure:
            legend = self.figure_.legend(handles=handles, loc="outside right upper", **options)
        else:
            legend = self.ax_.legend(handles=handles, loc="best", **options)
        legend.set_title(title, prop={"size": "x-small"})

"""One pipeline against another, subject by subject."""

from skeegformer.plotting._benchmark import grid_of, p_text, tidy
from skeegformer.plotting._labels import place_labels
from skeegformer.plotting._style import OKABE_ITO, open_axes

_MOST_LABELS = 20


class PairedScoresDisplay:
    """Each subject's score by one pipeline against that by another, a panel for each task.

    Points above the diagonal are subjects for whom the pipeline has the higher score. Best
    made by `from_scores`.

    Parameters
    ----------
    pairs : dict of str to pandas.DataFrame
        For each task subjects x (reference, pipeline).
    metric : str, default="balanced_accuracy"
        What was measured.
    captions : dict of str to str or None, default=None
        A text for each task, such as difference and p value.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes
        A panel for each task.
    ax_ : matplotlib.axes.Axes
        The first of them.
    points_ : dict of str to matplotlib.lines.Line2D
        The subjects of each task.
    means_ : dict of str to matplotlib.lines.Line2D
        The mean over subjects.

    Examples
    --------
    >>> import matplotlib, pandas as pd
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import PairedScoresDisplay
    >>> scores = pd.DataFrame({
    ...     "pipeline": ["CSP+LDA"] * 3 + ["transformer"] * 3,
    ...     "subject": [1, 2, 3] * 2,
    ...     "balanced_accuracy": [0.5, 0.6, 0.7, 0.6, 0.8, 0.8],
    ... })
    >>> display = PairedScoresDisplay.from_scores(scores, "transformer", "CSP+LDA")
    >>> display.ax_.get_ylabel()
    'transformer'
    """

    def __init__(self, pairs, *, metric="balanced_accuracy", captions=None):
        self.pairs = pairs
        self.metric = metric
        self.captions = captions

    @classmethod
    def from_scores(cls, scores, pipeline, reference, *, metric="balanced_accuracy", **kwargs):
        """Draw two pipelines of a table of scores.

        Parameters
        ----------
        scores : pandas.DataFrame
            As for `compare_pipelines`.
        pipeline : str
            Goes upwards.
        reference : str
            Goes to the right.
        metric : {"balanced_accuracy", "roc_auc", "calibration_error"}
            What to draw, "balanced_accuracy" by default.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        PairedScoresDisplay
            Drawn. Each panel names the mean difference with its 95 % interval and the p
            value of Wilcoxon's signed-rank test, of these two alone.

        Raises
        ------
        ValueError
            If a pipeline is not in the scores, both are the same, or as `compare_pipelines`.
        """
        from skeegformer.evaluation._subjects import check_scores, tables_by_task
        from skeegformer.evaluation.statistics import compare_pipelines

        scores = check_scores(scores, metric)
        known = list(dict.fromkeys(scores["pipeline"]))
        for name in (pipeline, reference):
            if name not in known:
                raise ValueError(
                    f"{name!r} is no pipeline in the scores; there are "
                    f"{', '.join(map(repr, known))}."
                )
        if pipeline == reference:
            raise ValueError(f"{pipeline!r} cannot be compared with itself; name two pipelines.")
        scores = scores[scores["pipeline"].isin([pipeline, reference])]
        tables = tables_by_task(scores, metric)
        rows = compare_pipelines(scores, reference, metric=metric).set_index("task")
        captions = {
            task: "difference {difference:+.3f} [{low:.3f}, {high:.3f}]\n".format(**rows.loc[task])
            + p_text(rows.loc[task, "p_wilcoxon"])
            + "; {wins} won, {ties} equal, {losses} lost; cross: mean".format(**rows.loc[task])
            for task in tables
        }
        pairs = {task: table[[reference, pipeline]] for task, table in tables.items()}
        return cls(pairs, metric=metric, captions=captions).plot(**kwargs)

    def plot(self, ax=None, *, labels=None):
        """Draw the pairs.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each task; None makes a figure.
        labels : bool or None, default=None
            Whether to name every subject; None does so for up to 20.

        Returns
        -------
        PairedScoresDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If axes do not fit the tasks.
        """
        n_rows, n_columns = grid_of(len(self.pairs))
        self.axes_ = open_axes(
            ax,
            len(self.pairs),
            nrows=n_rows,
            ncols=n_columns,
            figsize=(0.4 + 3.5 * n_columns, 0.2 + 3.9 * n_rows),
        )
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.points_, self.means_ = {}, {}
        for axes, (task, table) in zip(self.axes_, self.pairs.items(), strict=True):
            self._draw(axes, task, table, labels)
        return self

    def _draw(self, ax, task, table, labels):
        from matplotlib.ticker import MaxNLocator

        from skeegformer.evaluation._subjects import METRICS, label_subject

        reference, pipeline = table.columns
        x, y = table[reference].to_numpy(), table[pipeline].to_numpy()
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        margin = 0.08 * (high - low) or 0.05
        limits = low - margin, high + margin
        ax.plot(limits, limits, color="0.6", linewidth=1.0, zorder=1)
        (self.points_[task],) = ax.plot(
            x, y, "o", color=OKABE_ITO[0], alpha=0.7, markeredgewidth=0, markersize=6, zorder=3
        )
        (self.means_[task],) = ax.plot(
            x.mean(), y.mean(), "+", color=OKABE_ITO[1], markersize=16, markeredgewidth=2.5,
            zorder=2,
        )  # fmt: skip
        ax.set(xlim=limits, ylim=limits, aspect="equal")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.set_xlabel(reference, parse_math=False)
        ax.set_ylabel(pipeline, parse_math=False)
        title = f"{task}\n" if task else ""
        ax.set_title(f"{title}{METRICS[self.metric][0]}", fontsize="medium", parse_math=False)
        tidy(ax)
        caption = (self.captions or {}).get(task)
        if caption:
            ax.annotate(
                caption,
                (0.0, -0.17),
                xycoords="axes fraction",
                va="top",
                fontsize="small",
                parse_math=False,
            )
        if labels or (labels is None and len(table) <= _MOST_LABELS):
            names = [label_subject(subject) for subject in table.index]
            place_labels(ax, x, y, names, avoid=[(x.mean(), y.mean())])

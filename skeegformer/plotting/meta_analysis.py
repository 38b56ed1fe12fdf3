"""Effects of pipelines against a reference, for each task and for all together."""

import numpy as np

from skeegformer.plotting._benchmark import grid_of, p_text
from skeegformer.plotting._style import GREY, OKABE_ITO, open_axes


class MetaAnalysisDisplay:
    """Standardized differences to a reference with intervals, by task and combined.

    In the manner of MOABB's plot, but the interval of the combined effect holds for the same
    subjects in all tasks. Best made by `from_scores`.

    Parameters
    ----------
    comparison : pandas.DataFrame
        Rows of `compare_pipelines`, without those of "all tasks".
    combined : pandas.DataFrame or None, default=None
        Rows of `meta_analysis`, with a p value in the column ``p`` if there is one to write.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes
        A panel for each pipeline.
    ax_ : matplotlib.axes.Axes
        The first of them.
    markers_ : dict of (str, str) to matplotlib.lines.Line2D
        The effect of each pipeline and task; "combined" for all of them.

    See Also
    --------
    skeegformer.evaluation.statistics.meta_analysis : How effects are combined.

    Examples
    --------
    >>> import matplotlib, numpy as np, pandas as pd
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import MetaAnalysisDisplay
    >>> rng = np.random.default_rng(0)
    >>> rows = [
    ...     {"task": task, "pipeline": name, "subject": subject,
    ...      "balanced_accuracy": rng.normal(mean, 0.05)}
    ...     for task in ("eyes", "fists")
    ...     for name, mean in (("CSP+LDA", 0.6), ("transformer", 0.7))
    ...     for subject in range(8)
    ... ]
    >>> display = MetaAnalysisDisplay.from_scores(pd.DataFrame(rows), "CSP+LDA")
    >>> [task for _, task in display.markers_]
    ['eyes', 'fists', 'combined']
    """

    def __init__(self, comparison, combined=None):
        self.comparison = comparison
        self.combined = combined

    @classmethod
    def from_scores(
        cls, scores, reference, *, pipelines=None, metric="balanced_accuracy", **kwargs
    ):
        """Compare pipelines of a table of scores with a reference, and draw that.

        Parameters
        ----------
        scores : pandas.DataFrame
            As for `compare_pipelines`.
        reference : str
            The pipeline that the others are compared with.
        pipelines : sequence of str or None, default=None
            Which to draw; None draws all.
        metric : {"balanced_accuracy", "roc_auc", "calibration_error"}
            What is compared, "balanced_accuracy" by default.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        MetaAnalysisDisplay
            Drawn. The p values are those of Wilcoxon's signed-rank test, corrected by Holm
            for the number of pipelines drawn; beside the combined effect that of the
            subjects' means over tasks.

        Raises
        ------
        ValueError
            As `compare_pipelines`; or if one of `pipelines` is not in the scores.
        """
        from skeegformer.evaluation.statistics import (
            ALL_TASKS,
            compare_pipelines,
            meta_analysis,
        )

        if pipelines is not None and "pipeline" in scores:
            pipelines = [pipelines] if isinstance(pipelines, str) else list(pipelines)
            strange = [name for name in pipelines if name not in set(scores["pipeline"])]
            if strange:
                raise ValueError(f"pipelines has {strange[0]!r}, which is not in the scores.")
            scores = scores[scores["pipeline"].isin([*pipelines, reference])]
        rows = compare_pipelines(scores, reference, metric=metric)
        is_all = rows["task"] == ALL_TASKS
        combined = None
        if rows["task"].nunique() > 1:
            combined = meta_analysis(scores, reference, metric=metric)
            p_values = rows[is_all].set_index("pipeline")["p_holm"]
            combined = combined.assign(p=combined["pipeline"].map(p_values))
        return cls(rows[~is_all], combined).plot(**kwargs)

    def plot(self, ax=None):
        """Draw the effects.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each pipeline; None makes a figure.

        Returns
        -------
        MetaAnalysisDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If axes do not fit the pipelines.
        """
        pipelines = list(dict.fromkeys(self.comparison["pipeline"]))
        tasks = list(dict.fromkeys(self.comparison["task"]))
        n_rows, n_columns = grid_of(len(pipelines))
        n_lines = len(tasks) + (self.combined is not None)
        longest = max(map(len, tasks))
        self.axes_ = open_axes(
            ax,
            len(pipelines),
            nrows=n_rows,
            ncols=n_columns,
            sharex=True,
            sharey=True,
            figsize=(0.4 + 0.08 * longest + 3.2 * n_columns, 0.3 + n_rows * (0.75 + 0.3 * n_lines)),
        )
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.markers_ = {}
        for axes, pipeline in zip(self.axes_, pipelines, strict=True):
            self._draw(axes, pipeline, tasks)
        names = [task or "scores" for task in tasks] + ["combined"] * (self.combined is not None)
        self.ax_.set_yticks(range(n_lines), names, fontsize="small", parse_math=False)
        self.ax_.set_ylim(n_lines - 0.4, -0.6)
        reference = self.comparison["reference"].iloc[0]
        label = f"standardized difference to {reference}, 95 % intervals; filled: p < 0.05"
        if ax is None and len(pipelines) > 1:
            self.figure_.supxlabel(label, fontsize="small", parse_math=False)
            for axes in self.axes_[-n_columns:]:  # above a gap in the last row as well
                axes.tick_params(axis="x", labelbottom=True)
        else:
            for axes in self.axes_:
                axes.set_xlabel(label.replace(", ", "\n"), fontsize="small", parse_math=False)
        return self

    def _draw(self, ax, pipeline, tasks):
        rows = self.comparison[self.comparison["pipeline"] == pipeline].set_index("task")
        ax.axvline(0, color="black", linewidth=0.8, zorder=1)
        most = np.sqrt(self.comparison["n_subjects"].max())
        for place, task in enumerate(tasks):
            if task in rows.index:
                row = rows.loc[task]
                size = 4.0 + 4.0 * np.sqrt(row["n_subjects"]) / most
                look = {"marker": "s", "color": OKABE_ITO[0], "markersize": size}
                ends = row["d_z"], row["d_low"], row["d_high"]
                self._draw_effect(ax, (pipeline, task), place, ends, row["p_holm"], look)
        if self.combined is not None:
            ax.axhline(len(tasks) - 0.5, color="0.8", linewidth=0.8)
            look = {"marker": "D", "color": OKABE_ITO[1], "markersize": 9}
            for _, row in self.combined[self.combined["pipeline"] == pipeline].iterrows():
                ends, p_value = (row["effect"], row["low"], row["high"]), row.get("p", np.nan)
                self._draw_effect(ax, (pipeline, "combined"), len(tasks), ends, p_value, look)
        ax.set_title(pipeline, fontsize="medium", parse_math=False)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.tick_params(labelsize="small")
        ax.grid(axis="x", color="0.92")
        ax.set_axisbelow(True)

    def _draw_effect(self, ax, key, place, ends, p_value, look):
        effect, low, high = ends
        text = "" if np.isnan(p_value) else p_text(p_value)
        if np.isfinite(effect):
            is_clear = p_value < 0.05
            ax.hlines(place, low, high, color=look["color"], linewidth=1.4, zorder=3)
            (self.markers_[key],) = ax.plot(
                effect,
                place,
                linestyle="none",
                markerfacecolor=look["color"] if is_clear else "white",
                markeredgewidth=1.3,
                zorder=4,
                **look,
            )
        else:
            text = f"all subjects\nalike; {text}"
        ax.annotate(
            text,
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7,
            color="black" if p_value < 0.05 else GREY,
        )

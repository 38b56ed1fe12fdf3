"""Scores of pipelines, subject by subject."""

from skeegformer.plotting._style import OKABE_ITO, ink, open_axes, tidy

_KEYS = ["task", "information", "pipeline", "subject"]


def plot_scores(scores, metric="balanced_accuracy", *, ax=None):
    """Plot the score of every subject and the mean of each pipeline, with a panel for each task.

    Parameters
    ----------
    scores : pandas.DataFrame
        Table with columns ``pipeline``, ``subject`` and the metric, such as the scores of
        `skeegformer.cross_subject_scores` or `skeegformer.run_benchmark`. Seeds are averaged;
        columns ``task`` and ``information`` are optional.
    metric : str, default="balanced_accuracy"
        Column to draw.
    ax : matplotlib.axes.Axes, sequence of them or None, default=None
        One axes for each task; None creates a figure.

    Returns
    -------
    ndarray of matplotlib.axes.Axes of shape (n_tasks,)
        The panels, with means and bootstrap 95 % intervals over subjects.

    Raises
    ------
    ValueError
        If columns are missing, or protocols are mixed.

    Examples
    --------
    >>> import matplotlib, pandas as pd
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import plot_scores
    >>> scores = pd.DataFrame({"pipeline": ["CSP+LDA"] * 2 + ["transformer"] * 2,
    ...                        "subject": [1, 2] * 2, "balanced_accuracy": [0.5, 0.6, 0.6, 0.8]})
    >>> [label.get_text() for label in plot_scores(scores)[0].get_yticklabels()]
    ['transformer', 'CSP+LDA']
    """
    import seaborn

    columns = getattr(scores, "columns", ())
    missing = [name for name in ("pipeline", "subject", metric) if name not in columns]
    if missing:
        raise ValueError(f"The scores lack the columns {', '.join(missing)}.")
    if not len(scores) or scores[["pipeline", "subject"]].isna().any(axis=None):
        raise ValueError("The scores have no rows, or some without a pipeline or a subject.")
    if "protocol" in scores and scores["protocol"].nunique() > 1:
        raise ValueError("The scores are of several protocols: draw one at a time.")
    scores = scores.assign(**{name: "" for name in _KEYS[:2] if name not in scores})
    scores = scores.astype({metric: float})  # of a table read as text
    scores = scores.groupby(_KEYS, sort=False)[metric].mean().reset_index()
    order = scores.groupby("pipeline")[metric].mean().sort_values(ascending=False).index
    if any(word in metric for word in ("error", "loss", "brier")):
        order = order[::-1]
    tasks, kinds = scores["task"].unique(), scores["information"].unique()
    size = 0.75 * max(map(len, order)) / 10 + 2.9 * len(tasks), 1.2 + 0.28 * len(order) * len(kinds)
    axes = open_axes(ax, len(tasks), ncols=len(tasks), figsize=size, sharex=True, sharey=True)
    look = {"y": "pipeline", "x": metric, "order": order, "hue": "information", "hue_order": kinds}
    gap = 0.4 if len(kinds) > 1 else False
    for panel, task in zip(axes, tasks, strict=True):
        rows = {"data": scores[scores["task"] == task], "ax": panel, "legend": False, **look}
        points = rows | {"legend": panel is axes[-1] and len(kinds) > 1}
        palette = OKABE_ITO[: len(kinds)]
        seaborn.stripplot(**points, dodge=True, palette=palette, alpha=0.45, size=3.5, jitter=0.15)
        marks = {"linestyle": "none", "linewidth": 1.5, "markers": "D", "markersize": 4}
        marks |= {"dodge": gap, "palette": [ink()] * len(kinds)}
        seaborn.pointplot(**rows, **marks, seed=0)
        panel.set_title(task, fontsize="medium", parse_math=False)
        panel.set(xlabel=metric.replace("_", " "), ylabel="")
        tidy(panel, "x")
    if len(kinds) > 1:
        seaborn.move_legend(axes[-1], "upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axes

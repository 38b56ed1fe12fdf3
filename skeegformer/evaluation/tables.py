"""Tables of scores to read: in a terminal, on GitHub, and in the documentation."""

import re
import textwrap
from functools import partial

import numpy as np
import pandas as pd
from tabulate import tabulate

from skeegformer._validation import check_one_of
from skeegformer.evaluation._subjects import (
    INFORMATION,
    METRICS,
    averaged_seeds,
    check_scores,
    have_one_class,
    label_subject,
    lacking_subjects,
    name_subjects,
    subject_table,
    subject_weights,
)
from skeegformer.evaluation.statistics import compare_pipelines

_SUBJECTS_PER_ROW = 12
# Columns of `summarize_scores`, with digits.
_HEADS = {
    "mean": ("mean", 3),
    "sd": ("SD", 3),
    "worst": ("worst", 2),
    "best": ("best", 2),
    "roc_auc": ("ROC AUC", 3),
    "brier_score": ("Brier", 3),
    "fit_seconds": ("fit s", None),
}
# The format of tabulate, and characters that would be taken for markup.
_FORMATS = {
    "markdown": ("pipe", r"([\\|*_`<])"),
    "rst": ("rst", r"([\\|*_`])"),
    "text": ("simple", r"((?!))"),
}


def summarize_scores(scores, *, metric="balanced_accuracy"):
    """Average the scores of each pipeline over subjects.

    Parameters
    ----------
    scores : pandas.DataFrame
        As for `compare_pipelines`, of one task.
    metric : {"balanced_accuracy", "roc_auc", "brier_score"}, default="balanced_accuracy"
        Metric to average. For the Brier score, lower is better.

    Returns
    -------
    pandas.DataFrame
        One row per pipeline, in the order of `scores`: ``mean`` and ``sd`` over subjects (after
        averaging over seeds), the ``worst`` and the ``best`` subject, the number of ``subjects``,
        and the means of other metrics and of ``fit_seconds``, if `scores` has them.

    Raises
    ------
    ValueError
        If the scores mix tasks, protocols or kinds of information, or lack columns.
    """
    scores = check_scores(scores, metric, one=("task", "protocol", "information"))
    table = subject_table(scores, metric)
    ends = (table.min(), table.max()) if METRICS[metric][1] else (table.max(), table.min())
    columns = {
        "mean": table.mul(subject_weights(scores), axis=0).mean(),
        "sd": table.std(),
        "worst": ends[0],
        "best": ends[1],
        "subjects": table.count(),
    }
    for other in METRICS:
        if other in scores and other != metric and scores[other].notna().any():
            columns[other] = subject_table(scores, other).mean()
    if "fit_seconds" in scores:
        # All test subjects of a fit have its seconds.
        fit = [key for key in ("pipeline", "seed", "fold") if key in scores]
        fits = scores.drop_duplicates(fit).groupby("pipeline", sort=False, observed=True)
        columns["fit_seconds"] = fits["fit_seconds"].mean()
    return pd.DataFrame(columns).loc[list(table.columns)].rename_axis("pipeline")


def scores_table(
    scores, *, format="markdown", reference="auto", metric="balanced_accuracy", by_subject=True
):
    """Format a table of scores for each task, protocol and kind of information.

    Parameters
    ----------
    scores : pandas.DataFrame
        As for `compare_pipelines`, of any number of tasks and kinds of information.
    format : {"markdown", "rst", "text"}, default="markdown"
        For GitHub, for Sphinx, or for a terminal.
    reference : str or None, default="auto"
        The reference pipeline; "auto" is CSP+LDA in tables that contain it, None for no comparison.
    metric : {"balanced_accuracy", "roc_auc", "brier_score"}, default="balanced_accuracy"
        Metric to tabulate.
    by_subject : bool, default=True
        Whether to add a table of all subjects.

    Returns
    -------
    str
        The tables. In Markdown and reStructuredText, the best mean is bold, whether or not it
        differs significantly from others.

    Raises
    ------
    ValueError
        If columns are missing, rows are duplicated, or the reference is in no table.

    See Also
    --------
    summarize_scores : The numbers of one task.
    compare_pipelines : The tests behind the table.

    Examples
    --------
    >>> import pandas as pd
    >>> from skeegformer.evaluation import scores_table
    >>> scores = pd.DataFrame({
    ...     "pipeline": ["CSP+LDA"] * 3 + ["transformer"] * 3,
    ...     "subject": [1, 2, 3] * 2,
    ...     "balanced_accuracy": [0.5, 0.6, 0.7, 0.6, 0.8, 0.8],
    ... })
    >>> print(scores_table(scores, format="text", reference=None, by_subject=False))
    pipeline       mean     SD    worst    best
    -----------  ------  -----  -------  ------
    CSP+LDA       0.600  0.100     0.50    0.70
    transformer   0.733  0.115     0.60    0.80
    <BLANKLINE>
    Balanced accuracy; mean, SD, worst and best over 3 subjects (S1-S3).
    <BLANKLINE>
    """
    check_one_of("format", format, tuple(_FORMATS))
    scores = check_scores(scores, metric, one=())
    names = dict.fromkeys(scores["pipeline"])
    check_one_of("reference", reference, (None, "auto", *names))
    reference = "CSP+LDA" if reference == "auto" else reference
    parts, heads = [], set()
    mark = {"markdown": "`", "rst": "``", "text": ""}[format]
    groups = scores.groupby(["task", "protocol", "information"], sort=False)
    for (task, protocol, information), rows in groups:
        title = [f"{mark}{task}{mark}" if task else "", protocol, information]
        parts.append(", ".join(filter(None, title)))
        table = subject_table(rows, metric)
        summary = _summary(rows, format, metric).join(_compared(rows, table, reference, metric))
        parts.append(_render(summary, format))
        if by_subject:
            cells = table.T.map(_number, n_digits=2).rename(columns=label_subject)
            n_parts = int(np.ceil(len(table) / _SUBJECTS_PER_ROW))
            for places in np.array_split(np.arange(len(table)), n_parts):
                parts.append(_render(cells.iloc[:, places], format))
        parts.append(_wrap(_note(rows, table, information, metric, summary), format))
        heads |= set(summary)
    parts.append(_wrap(_joint_note(scores, heads, format), format))
    return "\n\n".join(filter(None, parts)) + "\n"


def _summary(rows, format, metric):
    """Write the summary of one table; the best mean is bold."""
    found = summarize_scores(rows, metric=metric)
    heads = _HEADS
    if metric == "balanced_accuracy" and have_one_class(rows):  # right or wrong has no spread
        heads = {name: head for name, head in heads.items() if name not in ("sd", "worst", "best")}
    table = pd.DataFrame(
        {
            head: found[column].map(partial(_number, n_digits=n_digits))
            for column, (head, n_digits) in heads.items()
            if column in found
        }
    )
    if format != "text":
        # Whoever lacks a difficult subject is not the best for that.
        lacking = list(lacking_subjects(rows, metric))
        whole = found["mean"].drop(lacking) if len(lacking) < len(found) else found["mean"]
        best = whole.index[whole == (whole.max() if METRICS[metric][1] else whole.min())]
        table.loc[best, "mean"] = "**" + table.loc[best, "mean"] + "**"
    return table


def _compared(rows, table, reference, metric):
    """Compare pipelines on the subjects of the reference, if they have all of them."""
    nothing = pd.DataFrame(index=table.columns)
    if reference not in table:
        return nothing
    own = rows[rows["subject"].isin(table.index[table[reference].notna()])]
    own = own[~own["pipeline"].isin(lacking_subjects(own, metric))]
    names = set(own["pipeline"])
    if reference not in names or len(names) < 2 or own["subject"].nunique() < 2:
        return nothing
    found = compare_pipelines(own, reference, metric=metric).set_index("pipeline")
    differences = found["difference"].map("{:+.3f}".format)
    ends = found["low"].map(" [{:.3f}, ".format) + found["high"].map("{:.3f}]".format)
    columns = {
        f"against {reference}": differences + ends.where(found["low"].notna(), ""),
        "p (Holm)": found["p_holm"].map(lambda p: "< 0.001" if p < 0.001 else f"{p:.3f}"),
    }
    return pd.DataFrame(columns).reindex(table.columns, fill_value="–")


def _note(rows, table, information, metric, columns):
    """Say in words what one table shows."""
    name = METRICS[metric][0]
    figures = "mean, SD, worst and best" if "SD" in columns else "mean"
    note = [
        f"{name[0].upper()}{name[1:]}; {figures} over {len(table)} subjects "
        f"({name_subjects(table.index)})"
    ]
    if information in INFORMATION:
        note[0] += f"; {INFORMATION[information]}"
    if "fold" in rows:
        note[0] += f"; {rows['fold'].nunique()} folds"
    if have_one_class(rows):
        note.append("Each subject has one class and is classified once; classes weigh the same")
        if "ROC AUC" in columns:
            note.append("ROC AUC ranks each subject among those of other classes in its fold")
    if "seed" in rows:
        note += averaged_seeds(rows)
    note += [
        f"{pipeline} has no score, or not with each of its seeds, of {name_subjects(subjects)}"
        for pipeline, subjects in lacking_subjects(rows, metric).items()
    ]
    if "p (Holm)" in columns and len(table) < 6:
        note.append(f"With {len(table)} subjects no p can be below 0.05")
    return ". ".join(note) + "."


def _joint_note(scores, columns, format):
    """Say in words what holds for all tables."""
    note = []
    if format != "text":
        note.append("Bold: the best mean, whether or not others differ from it significantly")
    if "p (Holm)" in columns:
        note.append(
            "Differences are means over subjects with 95 % t intervals; p of Wilcoxon's "
            "signed-rank test over subjects, corrected by Holm's method for the number of "
            "pipelines in the table"
        )
    if "Brier" in columns:
        note.append("Brier: mean squared error of the probabilities, less is better")
    if "fit s" in columns:
        note.append("fit s: seconds of a fit")
    if "versions" in scores:
        note.append(_joint_versions(scores["versions"].astype(str).unique()))
    return ". ".join(note) + "." if note else ""


def _joint_versions(texts):
    """List each package once, with all its versions, and the devices on which some were run."""
    found, devices = {}, {}
    for packages, _, device in (text.partition(" on ") for text in texts):
        devices |= {device: None} if device else {}
        for package in packages.split(", "):
            name, _, number = package.rpartition(" ")
            found.setdefault(name, set()).add(number)
    said = "; ".join(f"{name} {', '.join(sorted(numbers))}" for name, numbers in found.items())
    return f"{said}; in part on {', '.join(devices)}" if devices else said


def _number(value, n_digits):
    if not np.isfinite(value):
        return "–"
    if n_digits is None:  # three figures, as of seconds
        n_digits = 2 if value < 1 else 1 if value < 100 else 0
        return f"{value:.{n_digits}f}"
    # What is half a digit up to rounding is half a digit, in whatever order it was averaged.
    return f"{round(value, 10):.{n_digits}f}"


def _escape(text, format):
    """Put a backslash before what the format would take for markup."""
    return re.sub(_FORMATS[format][1], r"\\\1", text)


def _wrap(text, format):
    """Break a paragraph into lines, and escape what is no markup."""
    text = _escape(text, format)
    return textwrap.fill(text, 100, break_on_hyphens=False, break_long_words=False)


def _render(table, format):
    """Write a table of text, whose index are pipelines."""
    escape = partial(_escape, format=format)
    return tabulate(
        table.rename_axis("pipeline").rename(escape, axis=0).rename(escape, axis=1).reset_index(),
        headers="keys",
        showindex=False,
        tablefmt=_FORMATS[format][0],
        colalign=("left", *["right"] * table.shape[1]),
        disable_numparse=True,
    )

"""Tables of scores to read: in a terminal, on GitHub, and in the documentation."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from skeegformer._utils.files import replacing
from skeegformer._validation import check_one_of
from skeegformer.evaluation._rendering import FORMATS, bold, code, render, wrap
from skeegformer.evaluation._subjects import (
    INFORMATION,
    METRICS,
    check_scores,
    label_subject,
    missing_seeds,
    missing_subjects,
    name_subjects,
    one_row_per_fit,
    subject_table,
)
from skeegformer.evaluation.statistics import compare_pipelines

_USUAL_REFERENCE = "CSP+LDA"
_SUBJECTS_PER_ROW = 12
_MARKERS = {".md": ("<!-- {} -->", "<!-- /{} -->"), ".rst": (".. {}", ".. /{}")}


def scores_table(
    scores, *, format="markdown", reference="auto", metric="balanced_accuracy", by_subject=True
):
    """Write a table of scores for each task, protocol and kind of information.

    Parameters
    ----------
    scores : pandas.DataFrame
        As for `compare_pipelines`, of any number of tasks and kinds of information. The
        columns ``roc_auc``, ``calibration_error``, ``fit_seconds`` and ``versions`` are
        used where they are there.
    format : {"markdown", "rst", "text"}, default="markdown"
        For GitHub, for Sphinx, or for a terminal.
    reference : str or None, default="auto"
        The pipeline that the others are compared with; "auto" takes CSP+LDA where it is in
        a table, None compares nothing.
    metric : {"balanced_accuracy", "roc_auc", "calibration_error"}, default="balanced_accuracy"
        What the tables are about.
    by_subject : bool, default=True
        Whether a second table shows every subject.

    Returns
    -------
    str
        The tables. The best mean is bold, in text followed by "*".

    Raises
    ------
    ValueError
        If columns are missing, a row is there twice, or a reference is in no table.

    See Also
    --------
    skeegformer.evaluation.statistics.compare_pipelines : The tests behind the table.
    write_between_markers : Puts the text into a file.

    Examples
    --------
    >>> import pandas as pd
    >>> from skeegformer.evaluation.tables import scores_table
    >>> scores = pd.DataFrame({
    ...     "pipeline": ["CSP+LDA"] * 3 + ["transformer"] * 3,
    ...     "subject": [1, 2, 3] * 2,
    ...     "balanced_accuracy": [0.5, 0.6, 0.7, 0.6, 0.8, 0.8],
    ... })
    >>> print(scores_table(scores, format="text", reference=None, by_subject=False))
    pipeline      mean      SD  worst  best
    ---------------------------------------
    CSP+LDA      0.600   0.100   0.50  0.70
    transformer  0.733*  0.115   0.60  0.80
    <BLANKLINE>
    Balanced accuracy; mean, SD, worst and best over 3 subjects (S1-S3).
    <BLANKLINE>
    """
    check_one_of("format", format, FORMATS)
    scores = check_scores(scores, metric, one=())
    names = dict.fromkeys(scores["pipeline"])
    if reference not in (None, "auto", *names):
        raise ValueError(
            f"reference={reference!r} is no pipeline in the scores; there are "
            f"{', '.join(map(repr, names))}."
        )
    parts, heads = [], set()
    groups = scores.groupby(["task", "protocol", "information"], sort=False)
    for (task, protocol, information), rows in groups:
        title = ", ".join(filter(None, [code(task, format) if task else "", protocol, information]))
        if title:
            parts.append(title)
        more, columns = _one_table(rows, information, format, reference, metric, by_subject)
        parts += more
        heads |= set(columns)
    parts.append(wrap(_joint_note(scores, heads), format))
    return "\n\n".join(filter(None, parts)) + "\n"


def write_between_markers(path, name, text):
    r"""Put a text between two markers of a file.

    In Markdown the markers are the lines ``<!-- name -->`` and ``<!-- /name -->``, in
    reStructuredText the comments ``.. name`` and ``.. /name``. What was between them is
    replaced; the rest of the file stays as it is.

    Parameters
    ----------
    path : path-like
        A file whose name ends in ``.md`` or ``.rst``.
    name : str
        The name in the markers.
    text : str
        What to put there, such as the result of `scores_table`.

    Raises
    ------
    ValueError
        If the file is of another kind, or does not have each marker exactly once and in
        this order; it is not changed then.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skeegformer.evaluation.tables import write_between_markers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "README.md"
    ...     _ = path.write_text("Scores:\n<!-- scores -->\n<!-- /scores -->\n")
    ...     write_between_markers(path, "scores", "0.7")
    ...     print(path.read_text())
    Scores:
    <!-- scores -->
    0.7
    <!-- /scores -->
    """
    path = Path(path).expanduser().resolve()  # what a link points to is replaced, not the link
    if path.suffix.lower() not in _MARKERS:
        raise ValueError(f"{path.name} has no markers: its name has to end in .md or .rst.")
    # As bytes, since reading as text would change the ends of lines of the whole file.
    before = path.read_bytes().decode("utf-8")
    newline = "\r\n" if "\r\n" in before else "\n"
    markers = [marker.format(name) for marker in _MARKERS[path.suffix.lower()]]
    places = []
    for marker in markers:
        found = list(re.finditer(rf"^{re.escape(marker)}[ \t]*\r?$", before, re.MULTILINE))
        if len(found) != 1:
            raise ValueError(
                f"{path.name} has the line {marker!r} {len(found)} times, but it has to be there "
                f"once: {markers[0]!r} and {markers[1]!r} say where the text goes."
            )
        places.append(found[0])
    if places[0].end() > places[1].start():
        raise ValueError(f"{path.name} has {markers[1]!r} before {markers[0]!r}; exchange them.")
    # A comment of reStructuredText ends with an empty line.
    gap = "\n\n" if path.suffix.lower() == ".rst" else "\n"
    inside = f"{markers[0]}{gap}{text.strip(chr(10))}{gap}".replace("\n", newline)
    after = before[: places[0].start()] + inside + before[places[1].start() :]
    with replacing(path) as temporary:
        temporary.write_bytes(after.encode("utf-8"))
        shutil.copymode(path, temporary)


def _one_table(rows, information, format, reference, metric, by_subject):
    """Write the table of one task and kind, the table of its subjects, and a note.

    Also returns the columns and how many pipelines were compared with which, for the notes
    that hold for all tables.
    """
    table = subject_table(rows, metric)
    if reference == "auto":
        reference = _USUAL_REFERENCE if _USUAL_REFERENCE in table else None
    comparison = _compare(rows, table, reference, metric)
    more = METRICS[metric][1]
    means = table.mean()
    partly = missing_seeds(rows[rows[metric].notna()])
    is_whole = table.notna().all() & ~table.columns.isin(partly)
    # Whoever lacks a difficult subject is not the best for that.
    candidates = means[is_whole] if is_whole.any() else means
    top = candidates.max() if more else candidates.min()
    worst, best = (table.min(), table.max()) if more else (table.max(), table.min())
    columns = {
        "pipeline": list(table.columns),
        "mean": [
            bold(_number(mean, 3), name in candidates and mean == top, format)
            for name, mean in means.items()
        ],
        "SD": [_number(sd, 3) for sd in table.std()],
        "worst": [_number(one, 2) for one in worst],
        "best": [_number(one, 2) for one in best],
    }
    columns |= _other_columns(rows, metric)
    if len(comparison):
        found = [
            comparison.loc[name] if name in comparison.index else None for name in table.columns
        ]
        columns[f"against {reference}"] = [_difference(row) for row in found]
        columns["p (Holm)"] = ["–" if row is None else _p_value(row["p_holm"]) for row in found]
    parts = [render(pd.DataFrame(columns), format)]
    if by_subject:
        parts += [render(frame, format) for frame in _subject_columns(table)]
    parts.append(wrap(_note(rows, table, partly, information, metric, len(comparison)), format))
    return parts, columns


def _compare(rows, table, reference, metric):
    """Compare those pipelines that have every subject of the reference."""
    if reference is None or reference not in table or table[reference].count() < 2:
        return pd.DataFrame()
    subjects = table.index[table[reference].notna()]
    partly = missing_seeds(rows[rows[metric].notna() & rows["subject"].isin(subjects)])
    names = [
        name for name in table if table.loc[subjects, name].notna().all() and name not in partly
    ]
    if len(names) < 2 or reference not in names:
        return pd.DataFrame()
    rows = rows[rows["pipeline"].isin(names) & rows["subject"].isin(subjects)]
    comparison = compare_pipelines(rows[rows[metric].notna()], reference, metric=metric)
    return comparison.set_index("pipeline")


def _other_columns(rows, metric):
    """Average what else was measured, where it was."""
    columns = {}
    for column, head in (("roc_auc", "ROC AUC"), ("calibration_error", "ECE")):
        if column in rows and column != metric and rows[column].notna().any():
            means = subject_table(rows, column).mean()
            columns[head] = [_number(mean, 3) for mean in means]
    if "fit_seconds" in rows:
        seconds = one_row_per_fit(rows).groupby("pipeline", sort=False, observed=True)
        columns["fit s"] = [_seconds(one) for one in seconds["fit_seconds"].mean()]
    return columns


def _subject_columns(table):
    """Make tables of pipelines x subjects that are not too wide."""
    n_blocks = int(np.ceil(len(table) / _SUBJECTS_PER_ROW))
    for subjects in np.array_split(np.arange(len(table)), n_blocks):
        block = table.iloc[subjects]
        yield pd.DataFrame(
            {
                "pipeline": list(table.columns),
                **{
                    label_subject(subject): [_number(value, 2) for value in block.loc[subject]]
                    for subject in block.index
                },
            }
        )


def _note(rows, table, partly, information, metric, n_compared):
    """Say in words what one table shows."""
    name = METRICS[metric][0]
    note = [
        f"{name[0].upper()}{name[1:]}; mean, SD, worst and best over {len(table)} subjects "
        f"({name_subjects(table.index)})"
    ]
    if information in INFORMATION:
        note[0] += f"; {INFORMATION[information]}"
    if "fold" in rows:
        note[0] += f"; {rows['fold'].nunique()} folds"
    if "seed" in rows:
        note += averaged_seeds(rows)
    note += [
        f"{pipeline} has no score of {name_subjects(subjects)}"
        for pipeline, subjects in missing_subjects(table).items()
    ]
    note += [
        f"{pipeline} has no score of {name_subjects(subjects)} with seed {seed}"
        for pipeline, (seed, subjects) in partly.items()
    ]
    if n_compared and len(table) < 6:
        note.append(f"With {len(table)} subjects no p can be below 0.05")
    return ". ".join(note) + "."


def averaged_seeds(rows):
    """Say over which seeds which pipelines are averaged.

    Parameters
    ----------
    rows : DataFrame
        Scores, with the columns ``pipeline`` and ``seed``.

    Returns
    -------
    list of str
        A sentence for each set of several seeds, without its full stop; none if there is none.
    """
    names = {}
    for pipeline, own in rows.groupby("pipeline", sort=False, observed=True):
        names.setdefault(tuple(sorted(own["seed"].unique())), []).append(pipeline)
    several = sorted((seeds for seeds in names if len(seeds) > 1), key=len, reverse=True)
    return [
        f"Seeds {', '.join(map(str, seeds))} averaged within subjects ({', '.join(names[seeds])})"
        for seeds in several
    ]


def _joint_note(scores, columns):
    """Say in words what holds for all tables."""
    note = []
    if "p (Holm)" in columns:
        note.append(
            "Differences are means over subjects with 95 % t intervals; p of Wilcoxon's "
            "signed-rank test over subjects, corrected by Holm's method for the number of "
            "pipelines in the table"
        )
    if "ECE" in columns:
        note.append("ECE: expected calibration error, less is better")
    if "fit s" in columns:
        note.append("fit s: seconds of a fit")
    if "versions" in scores:
        note.append("; ".join(scores["versions"].astype(str).unique()))
    return ". ".join(note) + "." if note else ""


def _number(value, n_digits):
    # What is half a digit up to rounding is half a digit, in whatever order it was averaged.
    return f"{round(value, 10):.{n_digits}f}" if np.isfinite(value) else "–"


def _seconds(value):
    if not np.isfinite(value):
        return "–"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _p_value(value):
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _difference(row):
    if row is None:
        return "–"
    return f"{row['difference']:+.3f} [{row['low']:.3f}, {row['high']:.3f}]"

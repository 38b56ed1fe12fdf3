"""Tables of scores to read: in a terminal, on GitHub, and in the documentation."""

import re
import shutil
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate

from skeegformer._utils.files import replacing
from skeegformer._validation import check_one_of
from skeegformer.evaluation._subjects import (
    INFORMATION,
    METRICS,
    check_scores,
    label_subject,
    lacking_subjects,
    name_subjects,
    one_row_per_fit,
    subject_table,
    subject_weights,
)
from skeegformer.evaluation.statistics import compare_pipelines

_USUAL_REFERENCE = "CSP+LDA"
_SUBJECTS_PER_ROW = 12
_MARKERS = {".md": ("<!-- {} -->", "<!-- /{} -->"), ".rst": (".. {}", ".. /{}")}
# Characters that would be taken for markup.
_SPECIAL = {"markdown": r"([\\|*_`<])", "rst": r"([\\|*_`])", "text": r"((?!))"}


def scores_table(
    scores, *, format="markdown", reference="auto", metric="balanced_accuracy", by_subject=True
):
    """Write a table of scores for each task, protocol and kind of information.

    Parameters
    ----------
    scores : pandas.DataFrame
        As for `compare_pipelines`, of any number of tasks and kinds of information. The
        columns ``roc_auc``, ``brier_score``, ``fit_seconds`` and ``versions`` are used where
        they are there.
    format : {"markdown", "rst", "text"}, default="markdown"
        For GitHub, for Sphinx, or for a terminal.
    reference : str or None, default="auto"
        The pipeline that the others are compared with; "auto" takes CSP+LDA where it is in
        a table, None compares nothing.
    metric : {"balanced_accuracy", "roc_auc", "brier_score"}, default="balanced_accuracy"
        What the tables are about.
    by_subject : bool, default=True
        Whether a second table shows every subject.

    Returns
    -------
    str
        The tables. In Markdown and reStructuredText the best mean is bold.

    Raises
    ------
    ValueError
        If columns are missing, a row is there twice, or a reference is in no table.

    See Also
    --------
    compare_pipelines : The tests behind the table.
    write_between_markers : Puts the text into a file.

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
    check_one_of("format", format, tuple(_SPECIAL))
    scores = check_scores(scores, metric, one=())
    names = dict.fromkeys(scores["pipeline"])
    if reference not in (None, "auto", *names):
        raise ValueError(
            f"reference={reference!r} is no pipeline in the scores; there are "
            f"{', '.join(map(repr, names))}."
        )
    parts, heads = [], set()
    mark = {"markdown": "`", "rst": "``", "text": ""}[format]
    groups = scores.groupby(["task", "protocol", "information"], sort=False)
    for (task, protocol, information), rows in groups:
        title = [f"{mark}{task}{mark}" if task else "", protocol, information]
        parts.append(", ".join(filter(None, title)))
        table = subject_table(rows, metric)
        columns, is_compared = _columns(rows, table, format, reference, metric)
        parts.append(_render(pd.DataFrame(columns), format))
        if by_subject:
            parts += [_render(frame, format) for frame in _subject_columns(table)]
        parts.append(_wrap(_note(rows, table, information, metric, is_compared), format))
        heads |= set(columns)
    parts.append(_wrap(_joint_note(scores, heads, format), format))
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
        If the file is of another kind, or does not have the two markers exactly once and in
        this order; it is not changed then.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from skeegformer.evaluation import write_between_markers
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
    suffix = path.suffix.lower()
    if suffix not in _MARKERS:
        raise ValueError(f"{path.name} has no markers: its name has to end in .md or .rst.")
    # As bytes, since reading as text would change the ends of lines of the whole file.
    before = path.read_bytes().decode("utf-8")
    newline = "\r\n" if "\r\n" in before else "\n"
    first, last = (marker.format(name) for marker in _MARKERS[suffix])
    marks = [
        [*re.finditer(rf"^{re.escape(marker)}[ \t]*\r?$", before, re.MULTILINE)]
        for marker in (first, last)
    ]
    if list(map(len, marks)) != [1, 1] or marks[0][0].end() > marks[1][0].start():
        raise ValueError(
            f"{path.name} has to have the line {first!r} once, and {last!r} once after it: they "
            "say where the text goes."
        )
    # A comment of reStructuredText ends with an empty line.
    gap = "\n\n" if suffix == ".rst" else "\n"
    inside = f"{first}{gap}{text.strip(chr(10))}{gap}".replace("\n", newline)
    after = before[: marks[0][0].start()] + inside + before[marks[1][0].start() :]
    with replacing(path) as temporary:
        temporary.write_bytes(after.encode("utf-8"))
        shutil.copymode(path, temporary)


def averaged_seeds(rows):
    """Say over which seeds which pipelines are averaged.

    Parameters
    ----------
    rows : pandas.DataFrame
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


def _columns(rows, table, format, reference, metric):
    """Make the columns of one table, and tell whether pipelines were compared."""
    if reference == "auto":
        reference = _USUAL_REFERENCE
    more = METRICS[metric][1]
    means = table.mul(subject_weights(rows), axis=0).mean()
    # Whoever lacks a difficult subject is not the best for that.
    lacking = lacking_subjects(rows, metric)
    candidates = means.drop(list(lacking)) if len(lacking) < len(means) else means
    top = candidates.max() if more else candidates.min()
    bold = {
        name: "**" if name in candidates and mean == top and format != "text" else ""
        for name, mean in means.items()
    }
    worst, best = (table.min(), table.max()) if more else (table.max(), table.min())
    columns = {
        "pipeline": list(table.columns),
        "mean": [f"{bold[name]}{_number(mean, 3)}{bold[name]}" for name, mean in means.items()],
        "SD": [_number(sd, 3) for sd in table.std()],
        "worst": [_number(one, 2) for one in worst],
        "best": [_number(one, 2) for one in best],
    }
    for column, head in (("roc_auc", "ROC AUC"), ("brier_score", "Brier")):
        if column in rows and column != metric and rows[column].notna().any():
            columns[head] = [_number(mean, 3) for mean in subject_table(rows, column).mean()]
    if "fit_seconds" in rows:
        fits = one_row_per_fit(rows).groupby("pipeline", sort=False, observed=True)
        columns["fit s"] = [_seconds(one) for one in fits["fit_seconds"].mean()]

    # Pipelines are compared on the subjects of the reference, if they have all of them.
    if reference not in table:
        return columns, False
    own = rows[rows["subject"].isin(table.index[table[reference].notna()])]
    compared = own[~own["pipeline"].isin(lacking_subjects(own, metric))]
    if reference not in set(compared["pipeline"]) or compared["pipeline"].nunique() < 2:
        return columns, False
    if compared["subject"].nunique() < 2:
        return columns, False
    found = compare_pipelines(compared, reference, metric=metric).set_index("pipeline")
    found = [found.loc[name] if name in found.index else None for name in table]
    columns[f"against {reference}"] = [
        "–" if one is None else "{difference:+.3f} [{low:.3f}, {high:.3f}]".format(**one)
        for one in found
    ]
    columns["p (Holm)"] = [
        "–" if one is None else "< 0.001" if one["p_holm"] < 0.001 else f"{one['p_holm']:.3f}"
        for one in found
    ]
    return columns, True


def _subject_columns(table):
    """Make tables of pipelines x subjects that are not too wide."""
    n_blocks = int(np.ceil(len(table) / _SUBJECTS_PER_ROW))
    for subjects in np.array_split(table.index, n_blocks):
        columns = {
            label_subject(subject): [_number(value, 2) for value in table.loc[subject]]
            for subject in subjects.tolist()
        }
        yield pd.DataFrame({"pipeline": list(table.columns), **columns})


def _note(rows, table, information, metric, is_compared):
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
    if rows.get("label", pd.Series(dtype=object)).notna().any():
        note.append("Each subject has one class, is classified once, and classes weigh the same")
    if "seed" in rows:
        note += averaged_seeds(rows)
    note += [
        f"{pipeline} has no score, or not with each of its seeds, of {name_subjects(subjects)}"
        for pipeline, subjects in lacking_subjects(rows, metric).items()
    ]
    if is_compared and len(table) < 6:
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
        note.append("; ".join(scores["versions"].astype(str).unique()))
    return ". ".join(note) + "." if note else ""


def _number(value, n_digits):
    # What is half a digit up to rounding is half a digit, in whatever order it was averaged.
    return f"{round(value, 10):.{n_digits}f}" if np.isfinite(value) else "–"


def _seconds(value):
    if not np.isfinite(value):
        return "–"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _escape(text, format):
    """Put a backslash before what the format would take for markup."""
    return re.sub(_SPECIAL[format], r"\\\1", text)


def _wrap(text, format):
    """Break a paragraph into lines, and escape what is no markup."""
    text = _escape(text, format)
    return textwrap.fill(text, 100, break_on_hyphens=False, break_long_words=False)


def _render(frame, format):
    """Write a table of text: the first column is aligned left, the others right."""
    frame = frame.assign(pipeline=[_escape(name, format) for name in frame["pipeline"]])
    return tabulate(
        frame,
        headers=[_escape(head, format) for head in frame],
        tablefmt={"markdown": "pipe", "rst": "rst", "text": "simple"}[format],
        colalign=("left", *["right"] * (frame.shape[1] - 1)),
        disable_numparse=True,
        showindex=False,
    )

"""From the rows of a table of scores to one score for each subject."""

import numpy as np
import pandas as pd

# What is measured, how it is called in tables and figures, and whether more of it is better.
METRICS = {
    "balanced_accuracy": ("balanced accuracy", True),
    "roc_auc": ("ROC AUC", True),
    "calibration_error": ("expected calibration error", False),
}
INFORMATION = {
    "strict": "nothing of the test subjects is used",
    "transductive": "unlabelled epochs of the test subjects are used",
    "calibrated": "a few labelled epochs of each test subject are used",
}
_CONDITIONS = ("task", "protocol", "information")
_SETTINGS = (*_CONDITIONS, "seed", "fold")


def check_scores(scores, metric="balanced_accuracy", *, one=("protocol", "information"), apart=()):
    """Check a table of scores, and give it the columns of which there may be one value only.

    Parameters
    ----------
    scores : pandas.DataFrame
        Needs the columns ``pipeline``, ``subject`` and that of `metric`.
    metric : str, default="balanced_accuracy"
        What was measured.
    one : sequence of str, default=("protocol", "information")
        The columns that may not vary.
    apart : sequence of str, default=()
        Columns in which rows may differ that are otherwise of the same fit.

    Returns
    -------
    pandas.DataFrame
        A copy in which task, protocol and information are text, "" where they were missing.

    Raises
    ------
    ValueError
        If columns are missing, the table is empty, has a row twice, or mixes what may not be
        mixed.
    """
    if metric not in METRICS:
        raise ValueError(f"metric={metric!r} is not one of {', '.join(map(repr, METRICS))}.")
    if not isinstance(scores, pd.DataFrame):
        raise ValueError(
            f"The scores are a {type(scores).__name__}, but have to be a DataFrame with a row for "
            "each pipeline, seed and test subject."
        )
    missing = [column for column in ("pipeline", "subject", metric) if column not in scores]
    if missing or len(scores) == 0:
        what = f"lack the columns {', '.join(missing)}" if missing else "have no rows"
        raise ValueError(f"The scores {what}; a benchmark or cross_subject_scores makes them.")
    scores = scores.reset_index(drop=True)
    for column in _CONDITIONS:
        scores[column] = scores[column].astype(str) if column in scores else ""
    for column in one:
        kinds = list(dict.fromkeys(scores[column]))
        if len(kinds) > 1:
            raise ValueError(
                f"The scores mix {len(kinds)} kinds of {column}: {', '.join(map(str, kinds))}. "
                f'Compare one at a time, such as scores[scores["{column}"] == {kinds[0]!r}].'
            )
    keys = ["pipeline", "subject", *(key for key in (*_SETTINGS, *apart) if key in scores)]
    twice = scores.duplicated(keys)
    if twice.any():
        row = scores[twice].iloc[0]
        named = ", ".join(f"{key} {row[key]}" for key in keys if row[key] != "")
        raise ValueError(f"The scores have {int(twice.sum())} rows twice, such as {named}.")
    return scores


def subject_table(scores, metric):
    """Average each subject over seeds and folds.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of one task, checked.
    metric : str
        What was measured.

    Returns
    -------
    pandas.DataFrame
        Subjects x pipelines, both in the order of `scores` but for subjects that are
        numbers, which are sorted; NaN where a pipeline has no score.
    """
    table = (
        scores.groupby(["subject", "pipeline"], sort=False, observed=True)[metric].mean().unstack()
    )
    table = table[list(dict.fromkeys(scores["pipeline"]))]
    subjects = list(dict.fromkeys(scores["subject"]))
    if all(isinstance(subject, (int, np.integer)) for subject in subjects):
        subjects = sorted(subjects)
    return table.loc[subjects]


def complete_table(scores, metric):
    """Average each subject of one task, and refuse gaps, which cannot be paired.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of one task, checked.
    metric : str
        What was measured.

    Returns
    -------
    pandas.DataFrame
        Subjects x pipelines, without NaN.

    Raises
    ------
    ValueError
        If a pipeline has no score of some subject, or not with every seed, or a score is NaN or
        infinite.
    """
    bad = ~np.isfinite(scores[metric].to_numpy(dtype=float))
    table = subject_table(scores[~bad], metric) if not bad.all() else None
    gaps = {} if table is None else missing_subjects(table)
    of_task = f" in {scores['task'].iloc[0]}" if scores["task"].iloc[0] else ""
    if bad.any():
        row = scores[bad].iloc[0]
        raise ValueError(
            f"The {METRICS[metric][0]} of {row['pipeline']!r} is {row[metric]} for subject "
            f"{row['subject']}{of_task}; leave out that subject, or that pipeline."
        )
    if gaps:
        pipeline, subjects = next(iter(gaps.items()))
        raise ValueError(
            f"{pipeline!r} has no score of {name_subjects(subjects)}{of_task}, while others have: "
            "only equal subjects can be compared. Finish the missing fits, or leave out those "
            "subjects or that pipeline."
        )
    for pipeline, (seed, subjects) in missing_seeds(scores).items():
        raise ValueError(
            f"{pipeline!r} has no score of {name_subjects(subjects)}{of_task} with seed {seed}, "
            "while others have: averages over different seeds cannot be compared. Finish the "
            "missing fits, or leave out that seed or that pipeline."
        )
    return table


def tables_by_task(scores, metric):
    """Make a complete table for each task, in the order of the scores.

    Parameters
    ----------
    scores : pandas.DataFrame
        Checked.
    metric : str
        What was measured.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each task subjects x pipelines.
    """
    return {task: complete_table(rows, metric) for task, rows in scores.groupby("task", sort=False)}


def mean_over_tasks(tables):
    """Average each subject over tasks.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        For each task subjects x pipelines.

    Returns
    -------
    pandas.DataFrame
        Subjects x pipelines: those subjects and pipelines that every task has. May be empty.
    """
    first, *others = tables.values()
    subjects = [s for s in first.index if all(s in other.index for other in others)]
    pipelines = [p for p in first.columns if all(p in other.columns for other in others)]
    return sum(table.loc[subjects, pipelines] for table in tables.values()) / len(tables)


def one_row_per_fit(scores):
    """Leave one row of each fit, whose seconds all of its test subjects have.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of one task, checked.

    Returns
    -------
    pandas.DataFrame
        Every subject of a fold has the same fit.
    """
    return scores.drop_duplicates([key for key in ("pipeline", "seed", "fold") if key in scores])


def missing_subjects(table):
    """Name the subjects that a pipeline has no score of.

    Parameters
    ----------
    table : pandas.DataFrame
        Subjects x pipelines, NaN where there is no score.

    Returns
    -------
    dict of str to list
        For each pipeline that lacks some.
    """
    return {
        pipeline: table.index[column.isna()].tolist()
        for pipeline, column in table.items()
        if column.isna().any()
    }


def missing_seeds(scores):
    """Name the first seed of each pipeline that some of its subjects lack.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of one task, checked.

    Returns
    -------
    dict of str to tuple of (int, list)
        For each pipeline that lacks some, the seed and the subjects that have others only.
    """
    if "seed" not in scores:
        return {}
    found = {}
    for pipeline, rows in scores.groupby("pipeline", sort=False, observed=True):
        for seed, has in pd.crosstab(rows["subject"], rows["seed"]).items():
            if not has.all():
                found.setdefault(pipeline, (seed, has.index[has == 0].tolist()))
    return found


def name_subjects(subjects):
    """Write the names of subjects, runs of numbers as "S1-S4".

    Parameters
    ----------
    subjects : iterable of int or str
        Who.

    Returns
    -------
    str
        Their names, separated by commas.
    """
    subjects = list(subjects)
    if not all(isinstance(subject, (int, np.integer)) for subject in subjects):
        return ", ".join(map(label_subject, subjects))
    runs = []
    for subject in sorted(subjects):
        if runs and subject == runs[-1][-1] + 1:
            runs[-1].append(subject)
        else:
            runs.append([subject])
    parts = []
    for run in runs:
        parts += [f"S{run[0]}-S{run[-1]}"] if len(run) > 2 else [f"S{one}" for one in run]
    return ", ".join(parts)


def label_subject(subject):
    """Write the name of a subject: "S7" for a number."""
    return f"S{subject}" if isinstance(subject, (int, np.integer)) else str(subject)

"""From the rows of a table of scores to one score for each subject."""

import numpy as np
import pandas as pd

# What is measured, how it is called in tables and figures, and whether more of it is better.
METRICS = {
    "balanced_accuracy": ("balanced accuracy", True),
    "roc_auc": ("ROC AUC", True),
    "brier_score": ("Brier score", False),
}
INFORMATION = {
    "strict": "no data from the test subjects are used",
    "transductive": "unlabelled epochs of the test subjects are used",
    "calibrated": "a few labelled epochs of each test subject are used",
}
_CONDITIONS = ("task", "protocol", "information")
_SETTINGS = (*_CONDITIONS, "seed", "fold")


def check_scores(scores, metric="balanced_accuracy", *, one=("protocol", "information")):
    """Check a table of scores; columns in `one` have one value, missing conditions are ""."""
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
    if scores[["pipeline", "subject"]].isna().any(axis=None):
        raise ValueError("The scores have rows without a pipeline or a subject.")
    numbers = [name for name in (*METRICS, "fit_seconds") if name in scores]
    scores = scores.reset_index(drop=True)
    scores[numbers] = scores[numbers].replace("", np.nan).astype(float)  # of a table read as text
    for column in _CONDITIONS:
        scores[column] = scores[column].astype(str) if column in scores else ""
    for column in one:
        kinds = list(dict.fromkeys(scores[column]))
        if len(kinds) > 1:
            raise ValueError(
                f"The scores mix {len(kinds)} kinds of {column}: {', '.join(kinds)}. "
                f'Compare one at a time, such as scores[scores["{column}"] == {kinds[0]!r}].'
            )
    keys = ["pipeline", "subject", *(key for key in _SETTINGS if key in scores)]
    twice = scores.duplicated(keys)
    if twice.any():
        row = scores[twice].iloc[0]
        named = ", ".join(f"{key} {row[key]}" for key in keys if row[key] != "")
        raise ValueError(f"The scores have {int(twice.sum())} rows twice, such as {named}.")
    return scores


def subject_table(scores, metric):
    """Average each subject of one task over seeds and folds: subjects x pipelines, as they come."""
    groups = scores.groupby(["subject", "pipeline"], sort=False, observed=True)
    table = groups[metric].mean().unstack()[list(dict.fromkeys(scores["pipeline"]))]
    subjects = list(dict.fromkeys(scores["subject"]))
    if all(isinstance(subject, (int, np.integer)) for subject in subjects):
        subjects = sorted(subjects)
    return table.loc[subjects]


def subject_weights(scores):
    """Weight subjects so that classes weigh the same, where each subject has one class."""
    subjects = scores.drop_duplicates("subject").set_index("subject")
    if not have_one_class(scores):
        return pd.Series(1.0, index=subjects.index)
    counts = subjects["label"].value_counts()
    return len(subjects) / (len(counts) * subjects["label"].map(counts))


def have_one_class(scores):
    """Tell whether each subject of one task has one class, and is classified as a whole."""
    return "label" in scores and scores["label"].notna().all()


def lacking_subjects(scores, metric):
    """Name the subjects that a pipeline has no score of, or not with each of its seeds."""
    if "seed" not in scores:
        scores = scores.assign(seed=0)
    there = scores[np.isfinite(scores[metric].astype(float))]
    counts = there.groupby(["pipeline", "seed", "subject"], observed=True).size()
    everyone = list(dict.fromkeys(scores["subject"]))
    found = {}
    for pipeline, own in scores.groupby("pipeline", sort=False, observed=True):
        lacking = [
            subject
            for subject in everyone
            if any((pipeline, seed, subject) not in counts for seed in own["seed"].unique())
        ]
        if lacking:
            found[pipeline] = lacking
    return found


def name_subjects(subjects):
    """Write the names of subjects, runs of numbers as "S1-S4"."""
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


def describe_failures(failures):
    """Say in a line each which fits failed, and why."""
    return [
        f"{row.task}, {row.information}, {row.pipeline}, seed {row.seed}, fold {row.fold}"
        + ("" if pd.isna(row.subject) else f", subject {row.subject}")
        + f": {row.error}"
        for row in failures.itertuples()
    ]


def averaged_seeds(rows):
    """Say over which seeds which pipelines are averaged."""
    names = {}
    for pipeline, own in rows.groupby("pipeline", sort=False, observed=True):
        names.setdefault(tuple(sorted(own["seed"].unique())), []).append(pipeline)
    several = sorted((seeds for seeds in names if len(seeds) > 1), key=len, reverse=True)
    return [
        f"Seeds {', '.join(map(str, seeds))} averaged within subjects ({', '.join(names[seeds])})"
        for seeds in several
    ]

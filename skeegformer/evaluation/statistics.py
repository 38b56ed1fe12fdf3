"""Which pipelines are better, by how much, and how sure that is.

Subjects are the units everywhere: the seeds and folds of a subject are averaged first.
"""

import numpy as np
import pandas as pd
from scipy import stats

from skeegformer._validation import check_one_of
from skeegformer.evaluation._subjects import (
    METRICS,
    check_scores,
    lacking_subjects,
    name_subjects,
    subject_table,
    subject_weights,
)

ALL_TASKS = "all tasks"
# Scores that ought to be equal differ in their last digits; others by more than 1e-6.
_DECIMALS = 9
_MANY_SUBJECTS = 14


def compare_pipelines(scores, reference, *, metric="balanced_accuracy"):
    """Compare each pipeline with a reference, paired over subjects.

    Parameters
    ----------
    scores : pandas.DataFrame
        Scores from `cross_subject_scores`, with columns ``task``, ``protocol`` and ``information``
        if they vary; only one protocol and one kind of information at a time. Equal subject names
        in different tasks mean the same subject: give subjects of other datasets different names,
        such as "Cho2017 S1".
    reference : str
        The reference pipeline.
    metric : {"balanced_accuracy", "roc_auc", "brier_score"}, default="balanced_accuracy"
        Metric to compare. For the Brier score, lower is better.

    Returns
    -------
    pandas.DataFrame
        One row per task and pipeline and, if there are several tasks, for "all tasks": the means
        over tasks, for subjects with all tasks. Columns:

        - ``task``, ``pipeline``, ``reference``, ``n_subjects``;
        - ``mean``, ``reference_mean``, their ``difference`` and the limits of its 95 % t
          interval, ``low`` and ``high``, NaN if all subjects differ by the same amount;
        - ``wins``, ``ties``, ``losses``: numbers of subjects for whom the pipeline is better,
          equal or worse;
        - ``p_wilcoxon``: p of the two-sided Wilcoxon signed-rank test. Ties have their mean rank;
          zeros are ranked and then dropped (Pratt [1]_). Exact for up to 14 subjects;
        - ``p_holm``: p with Holm's correction [2]_ for the number of pipelines of a task;
        - ``d_z``: the mean difference divided by its standard deviation.

    Raises
    ------
    ValueError
        If kinds of information or protocols are mixed, the reference is missing, pipelines have
        different subjects, there are fewer than 2 subjects, or a score is NaN.

    Notes
    -----
    With 5 or fewer subjects, no two-sided p value of this test is below 0.05.

    References
    ----------
    .. [1] Pratt (1959), Remarks on zeros and ties in the Wilcoxon signed rank procedures.
       JASA 54. doi:10.1080/01621459.1959.10501526
    .. [2] Holm (1979), A simple sequentially rejective multiple test procedure. Scandinavian
       Journal of Statistics 6.

    Examples
    --------
    >>> import pandas as pd
    >>> from skeegformer.evaluation import compare_pipelines
    >>> scores = pd.DataFrame({
    ...     "pipeline": ["CSP+LDA"] * 6 + ["transformer"] * 6,
    ...     "subject": [1, 2, 3, 4, 5, 6] * 2,
    ...     "balanced_accuracy": [0.5, 0.6, 0.7, 0.5, 0.6, 0.8, 0.6, 0.8, 0.8, 0.7, 0.7, 0.9],
    ... })
    >>> row = compare_pipelines(scores, "CSP+LDA").iloc[0]
    >>> print(f"{row['difference']:.3f}, p = {row['p_wilcoxon']:.4f}")
    0.133, p = 0.0312
    """
    tables = {}
    for task, rows in check_scores(scores, metric).groupby("task", sort=False):
        for pipeline, subjects in lacking_subjects(rows, metric).items():
            raise ValueError(
                f"{pipeline!r} has no {METRICS[metric][0]} of {name_subjects(subjects)}"
                f"{f' in {task}' if task else ''} with each of its seeds, or it is NaN: only "
                "averages of equal subjects can be compared. Finish the missing fits, or leave out "
                "those subjects or that pipeline."
            )
        tables[task] = table = subject_table(rows, metric).mul(subject_weights(rows), axis=0)
        of_task = f" of {task}" if task else ""
        check_one_of("reference", reference, tuple(table))
        if len(table) < 2:
            raise ValueError(
                f"The scores{of_task} are of a single subject, which tells nothing of others: "
                "compare pipelines on at least 2."
            )
    if len(tables) > 1:
        first, *others = tables.values()
        subjects = [s for s in first.index if all(s in other.index for other in others)]
        pipelines = [p for p in first.columns if all(p in other.columns for other in others)]
        if len(subjects) >= 2:
            whole = [table.loc[subjects, pipelines] for table in tables.values()]
            tables[ALL_TASKS] = sum(whole) / len(whole)
    out = []
    for task, table in tables.items():
        rows = [
            {
                "task": task,
                "pipeline": pipeline,
                "reference": reference,
                **_compare(table[pipeline], table[reference], metric),
            }
            for pipeline in table.columns.drop(reference)
        ]
        p_holm = _holm([row["p_wilcoxon"] for row in rows])
        out += [row | {"p_holm": p} for row, p in zip(rows, p_holm, strict=True)]
    if not out:
        raise ValueError(f"There is no pipeline but {reference!r} in the scores to compare.")
    return pd.DataFrame(out)


def _holm(p_values):
    """Correct p values of several tests for their number, by Holm's step-down method."""
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(order), 0, -1)
    out = np.empty(len(order))
    out[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return out


def _signed_rank(diffs):
    """Compute the p value of Wilcoxon's signed-rank test, with ties and zeros (Pratt)."""
    if not diffs.any():
        return 1.0
    if len(diffs) > _MANY_SUBJECTS:
        return float(stats.wilcoxon(diffs, zero_method="pratt").pvalue)
    # SciPy's exact distribution knows no ties, and its test of all flips of signs takes seconds.
    ranks = np.sign(diffs) * stats.rankdata(np.abs(diffs))
    flips = {"permutation_type": "samples", "n_resamples": 2**_MANY_SUBJECTS}
    return float(stats.permutation_test((ranks,), np.sum, vectorized=True, **flips).pvalue)


def _compare(scores, reference, metric):
    """Compare two pipelines on the same subjects."""
    diffs = np.round((scores - reference).to_numpy(), _DECIMALS)
    better = diffs if METRICS[metric][1] else -diffs
    mean = diffs.mean()
    if np.ptp(diffs) == 0:  # no spread that an interval could be estimated from
        interval, effect = (np.nan, np.nan), 0.0 if mean == 0 else np.copysign(np.inf, mean)
    else:
        interval = stats.ttest_1samp(diffs, 0).confidence_interval(0.95)
        effect = mean / diffs.std(ddof=1)
    return {
        "n_subjects": len(diffs),
        "mean": float(scores.mean()),
        "reference_mean": float(reference.mean()),
        "difference": float(mean),
        "low": float(interval[0]),
        "high": float(interval[1]),
        "wins": int((better > 0).sum()),
        "ties": int((better == 0).sum()),
        "losses": int((better < 0).sum()),
        "p_wilcoxon": _signed_rank(diffs),
        "d_z": float(effect),
    }

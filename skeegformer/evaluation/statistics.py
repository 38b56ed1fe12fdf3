"""Which pipelines are better, by how much, and how sure that is.

Subjects are the units everywhere: the seeds and folds of a subject are averaged first.
"""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from scipy import stats

from skeegformer.evaluation._subjects import (
    METRICS,
    check_scores,
    complete_tables,
    mean_over_tasks,
)

ALL_TASKS = "all tasks"
# Scores that ought to be equal differ in their last digits; others by more than 1e-6.
_DECIMALS = 9
_MANY_SUBJECTS = 14


def compare_pipelines(scores, reference, *, metric="balanced_accuracy", level=0.95):
    """Compare every pipeline with a reference, paired over subjects.

    Parameters
    ----------
    scores : pandas.DataFrame
        Rows with the columns ``pipeline``, ``subject`` and that of `metric`, as
        `cross_subject_scores` returns them; ``task``, ``protocol``, ``information``,
        ``seed`` and ``fold`` where they vary. One protocol and one kind of information at a
        time. Equal subjects of different tasks are the same person: give those of datasets
        that number their own from 1 names of their own, such as "Cho2017 S1".
    reference : str
        The pipeline that the others are compared with.
    metric : {"balanced_accuracy", "roc_auc", "brier_score"}, default="balanced_accuracy"
        What is compared. Of a Brier score less is better.
    level : float, default=0.95
        How often intervals should hold the true value.

    Returns
    -------
    pandas.DataFrame
        A row for each task and pipeline, and for "all tasks" if there are several: there the
        mean over tasks of each subject that has them all is compared (no rows if fewer than
        2 have). Columns:

        - ``task``, ``pipeline``, ``reference``, ``n_subjects``;
        - ``mean``, ``reference_mean``, their ``difference`` and the ends of its t interval,
          ``low`` and ``high``;
        - ``wins``, ``ties``, ``losses``: subjects for whom the pipeline is better, equal,
          worse;
        - ``p_wilcoxon``: Wilcoxon's signed-rank test, two-sided. Ties share their mean rank;
          zeros are ranked and then left out, as by Pratt [1]_. Exact for up to 14 subjects;
        - ``p_holm``: corrected by Holm [2]_ for the number of pipelines of a task;
        - ``d_z``: the mean difference over its standard deviation.

    Raises
    ------
    ValueError
        If kinds of information or protocols are mixed, the reference is missing, pipelines
        do not have equal subjects, there are fewer than 2, or a score is NaN.

    See Also
    --------
    rank_pipelines : All pairs instead of one reference.

    Notes
    -----
    With 5 subjects or fewer no two-sided p value of this test is below 0.05.

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
    _check_share("level", level, 0.95)
    tables = complete_tables(check_scores(scores, metric), metric)
    for task, table in tables.items():
        of_task = f" of {task}" if task else ""
        if reference not in table:
            raise ValueError(
                f"reference={reference!r} is no pipeline in the scores{of_task}; there are "
                f"{', '.join(map(repr, table.columns))}."
            )
        if len(table) < 2:
            raise ValueError(
                f"The scores{of_task} are of a single subject, which tells nothing of others: "
                "compare pipelines on at least 2."
            )
    if len(tables) > 1:
        together = mean_over_tasks(tables)
        if len(together) >= 2:
            tables = {**tables, ALL_TASKS: together}
    out = []
    for task, table in tables.items():
        rows = [
            {
                "task": task,
                "pipeline": pipeline,
                "reference": reference,
                **_compare(table[pipeline], table[reference], metric, level),
            }
            for pipeline in table.columns.drop(reference)
        ]
        p_holm = _holm([row["p_wilcoxon"] for row in rows])
        out += [row | {"p_holm": p} for row, p in zip(rows, p_holm, strict=True)]
    if not out:
        raise ValueError(f"There is no pipeline but {reference!r} in the scores to compare.")
    return pd.DataFrame(out)


@dataclass(frozen=True, repr=False, eq=False)
class Ranking:
    """The result of `rank_pipelines`.

    Parameters
    ----------
    mean_ranks : pandas.Series
        Mean rank of each pipeline over subjects, from the best on; 1 is best.
    p_friedman : float
        Whether the pipelines differ at all (Friedman's test).
    cliques : list of tuple of str
        Pipelines that the data cannot tell apart; only groups that are part of no larger one.
    critical_difference : float
        How far mean ranks have to be apart by Nemenyi's test.
    n_subjects : int
        How many subjects were ranked.

    See Also
    --------
    rank_pipelines : Makes them.
    """

    mean_ranks: pd.Series
    p_friedman: float
    cliques: list
    critical_difference: float
    n_subjects: int

    def __repr__(self):
        best, rank = self.mean_ranks.index[0], self.mean_ranks.iloc[0]
        return (
            f"{len(self.mean_ranks)} pipelines ranked on {self.n_subjects} subjects: "
            f"{best} is best with mean rank {rank:.2f}; "
            f"Friedman's test p = {self.p_friedman:.2g}"
        )


def rank_pipelines(scores, *, metric="balanced_accuracy", alpha=0.05):
    """Rank pipelines within each subject, and find those that cannot be told apart.

    Friedman's test and Nemenyi's, as in [1]_.

    Parameters
    ----------
    scores : pandas.DataFrame
        As for `compare_pipelines`. Several tasks are averaged first, within each subject
        that has them all.
    metric : {"balanced_accuracy", "roc_auc", "brier_score"}, default="balanced_accuracy"
        What decides on the ranks. Of a Brier score less is better.
    alpha : float, default=0.05
        The level of significance.

    Returns
    -------
    Ranking
        Mean ranks, Friedman's test and cliques.

    Raises
    ------
    ValueError
        As in `compare_pipelines`; or if there are fewer than 3 pipelines.

    References
    ----------
    .. [1] Demšar (2006), Statistical comparisons of classifiers over multiple data sets.
       JMLR 7, 1-30.

    Examples
    --------
    >>> import pandas as pd
    >>> from skeegformer.evaluation import rank_pipelines
    >>> scores = pd.DataFrame({
    ...     "pipeline": ["A", "B", "C"] * 6,
    ...     "subject": [s for s in range(6) for _ in range(3)],
    ...     "balanced_accuracy": [0.9, 0.7, 0.5, 0.8, 0.7, 0.6] * 3,
    ... })
    >>> ranking = rank_pipelines(scores)
    >>> ranking
    3 pipelines ranked on 6 subjects: A is best with mean rank 1.00; Friedman's test p = 0.0025
    >>> ranking.cliques
    [('A', 'B'), ('B', 'C')]
    """
    _check_share("alpha", alpha, 0.05)
    table = mean_over_tasks(complete_tables(check_scores(scores, metric), metric))
    n_subjects, n_pipelines = table.shape
    if n_pipelines < 3 or n_subjects < 2:
        raise ValueError(
            f"Ranks need at least 3 pipelines and 2 subjects in all tasks, but there are "
            f"{n_pipelines} and {n_subjects}; compare_pipelines compares two pipelines."
        )
    values = np.round(table.to_numpy(), _DECIMALS) * (-1 if METRICS[metric][1] else 1)
    ranks = pd.Series(stats.rankdata(values, axis=1).mean(axis=0), index=list(table.columns))
    ranks = ranks.sort_values(kind="stable").rename("mean_rank")
    all_equal = (np.ptp(values, axis=1) == 0).all()
    critical = stats.studentized_range.isf(alpha, n_pipelines, np.inf) / np.sqrt(2)
    critical *= np.sqrt(n_pipelines * (n_pipelines + 1) / (6 * n_subjects))
    return Ranking(
        mean_ranks=ranks,
        p_friedman=1.0 if all_equal else float(stats.friedmanchisquare(*values.T).pvalue),
        cliques=_cliques(ranks, critical),
        critical_difference=float(critical),
        n_subjects=n_subjects,
    )


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
    # SciPy's own exact distribution knows no ties: here are all flips of signs.
    signed = np.sign(diffs) * stats.rankdata(np.abs(diffs))
    found = stats.permutation_test(
        (signed,),
        np.sum,
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**_MANY_SUBJECTS,
    )
    return float(found.pvalue)


def _compare(scores, reference, metric, level):
    """Compare two pipelines on the same subjects."""
    diffs = np.round((scores - reference).to_numpy(), _DECIMALS)
    better = diffs if METRICS[metric][1] else -diffs
    all_equal = np.ptp(diffs) == 0
    mean = diffs.mean()
    if all_equal:
        interval, effect = (mean, mean), 0.0 if mean == 0 else float(np.copysign(np.inf, mean))
    else:
        interval = stats.ttest_1samp(diffs, 0).confidence_interval(level)
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


def _check_share(name, value, usual):
    """Refuse what is no level of confidence or significance."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < 1:
        raise ValueError(f"{name}={value!r} is not between 0 and 1; {usual} is usual.")


def _cliques(ranks, critical):
    """Find runs of neighbours, from the best on, whose mean ranks are not far enough apart."""
    cliques, reached = [], 0
    for start, rank in enumerate(ranks):
        end = int((ranks < rank + critical).sum())
        if end - start > 1 and end > reached:
            cliques.append(tuple(ranks.index[start:end]))
            reached = end
    return cliques

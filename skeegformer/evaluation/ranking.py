"""Ranks of several pipelines, and which of them differ."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from skeegformer._validation import check_one_of
from skeegformer.evaluation import _paired_tests as paired
from skeegformer.evaluation._subjects import (
    METRICS,
    check_scores,
    mean_over_tasks,
    tables_by_task,
)


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
    critical_difference : float or None
        How far mean ranks have to be apart by Nemenyi's test; None for another test.
    p_values : pandas.DataFrame
        Of each pair, corrected for the number of pairs.
    n_subjects : int
        How many subjects were ranked.
    alpha : float
        The level of significance.
    test : str
        How pairs were compared.

    See Also
    --------
    rank_pipelines : Makes them.
    """

    mean_ranks: pd.Series
    p_friedman: float
    cliques: list
    critical_difference: float | None
    p_values: pd.DataFrame
    n_subjects: int
    alpha: float
    test: str

    def __repr__(self):
        best, rank = self.mean_ranks.index[0], self.mean_ranks.iloc[0]
        return (
            f"{len(self.mean_ranks)} pipelines ranked on {self.n_subjects} subjects: "
            f"{best} is best with mean rank {rank:.2f}; "
            f"Friedman's test p = {self.p_friedman:.2g}"
        )


def rank_pipelines(scores, *, metric="balanced_accuracy", test="nemenyi", alpha=0.05):
    """Rank pipelines within each subject, and find those that cannot be told apart.

    Parameters
    ----------
    scores : pandas.DataFrame
        As for `compare_pipelines`. Several tasks are averaged first, within each subject
        that has them all.
    metric : {"balanced_accuracy", "roc_auc", "calibration_error"}, default="balanced_accuracy"
        What decides on the ranks. Of a calibration error less is better.
    test : {"nemenyi", "wilcoxon"}, default="nemenyi"
        How pairs are compared: by the distance of their mean ranks, as in [1]_, or by
        Wilcoxon's signed-rank test with Holm's correction over all pairs, in which no third
        pipeline has a say [2]_.
    alpha : float, default=0.05
        The level of significance.

    Returns
    -------
    Ranking
        Mean ranks, Friedman's test, cliques and p values.

    Raises
    ------
    ValueError
        As in `compare_pipelines`; or if there are fewer than 3 pipelines.

    Notes
    -----
    Wilcoxon's p values are at least ``2 / 2 ** n_subjects``, and Holm's method multiplies the
    smallest by the number of pairs: with 12 subjects and 16 pipelines, 120 pairs, none can
    be below 0.05.

    References
    ----------
    .. [1] Demšar (2006), Statistical comparisons of classifiers over multiple data sets.
       JMLR 7, 1-30.
    .. [2] Benavoli, Corani & Mangili (2016), Should we really use post-hoc tests based on
       mean-ranks? JMLR 17, 1-10.

    Examples
    --------
    >>> import pandas as pd
    >>> from skeegformer.evaluation.ranking import rank_pipelines
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
    check_one_of("test", test, ("nemenyi", "wilcoxon"))
    paired.check_share("alpha", alpha, 0.05)
    scores = check_scores(scores, metric)
    table = mean_over_tasks(tables_by_task(scores, metric))
    n_subjects, n_pipelines = table.shape
    if n_pipelines < 3 or n_subjects < 2:
        raise ValueError(
            f"Ranks need at least 3 pipelines and 2 subjects in all tasks, but there are "
            f"{n_pipelines} and {n_subjects}; compare_pipelines compares two pipelines."
        )
    values = paired.rounded(table) * (-1 if METRICS[metric][1] else 1)
    ranks = pd.Series(stats.rankdata(values, axis=1).mean(axis=0), index=list(table.columns))
    ranks = ranks.sort_values(kind="stable").rename("mean_rank")
    all_equal = (np.ptp(values, axis=1) == 0).all()
    unit = np.sqrt(n_pipelines * (n_pipelines + 1) / (6 * n_subjects))
    if test == "nemenyi":
        critical = unit * critical_value(n_pipelines, alpha)
        p_values = _nemenyi(ranks, unit)
    else:
        critical = None
        p_values = _wilcoxon_of_pairs(table[ranks.index])
    return Ranking(
        mean_ranks=ranks,
        p_friedman=1.0 if all_equal else float(stats.friedmanchisquare(*values.T).pvalue),
        cliques=_cliques(p_values, alpha),
        critical_difference=critical,
        p_values=p_values,
        n_subjects=n_subjects,
        alpha=alpha,
        test=test,
    )


def critical_value(n_pipelines, alpha=0.05):
    """Compute the critical value of Nemenyi's test.

    Parameters
    ----------
    n_pipelines : int
        How many are ranked.
    alpha : float, default=0.05
        The level of significance.

    Returns
    -------
    float
        The quantile of the studentized range, over the square root of 2 (Table 5 of Demšar,
        2006).

    Examples
    --------
    >>> from skeegformer.evaluation.ranking import critical_value
    >>> round(critical_value(4), 3)
    2.569
    """
    return float(stats.studentized_range.isf(alpha, n_pipelines, np.inf) / np.sqrt(2))


def _nemenyi(ranks, unit):
    """Compute the p value of each pair from the distance of their mean ranks."""
    distances = np.abs(ranks.to_numpy()[:, None] - ranks.to_numpy()) / unit
    return _pairwise(
        ranks.index,
        [
            stats.studentized_range.sf(np.sqrt(2) * distances[i, j], len(ranks), np.inf)
            for i, j in combinations(range(len(ranks)), 2)
        ],
    )


def _wilcoxon_of_pairs(table):
    """Compute the p value of each pair by signed ranks, corrected by Holm."""
    p_values = [
        paired.signed_rank(paired.differences(table[one], table[other]))[0]
        for one, other in combinations(table.columns, 2)
    ]
    return _pairwise(table.columns, paired.holm(p_values))


def _pairwise(names, p_values):
    """Arrange p values of pairs in a symmetric table."""
    out = np.ones((len(names), len(names)))
    rows, columns = np.triu_indices(len(names), k=1)
    out[rows, columns] = out[columns, rows] = p_values
    return pd.DataFrame(out, index=list(names), columns=list(names))


def _cliques(p_values, alpha):
    """Find runs of neighbours, from the best on, in which no pair differs."""
    similar, names = p_values.to_numpy() > alpha, p_values.index
    cliques, reached = [], 0
    for start in range(len(names)):
        end = start + 1
        while end < len(names) and similar[start : end + 1, start : end + 1].all():
            end += 1
        if end - start > 1 and end > reached:
            cliques.append(tuple(names[start:end]))
            reached = end
    return cliques

"""Which pipelines are better, by how much, and how sure that is.

Subjects are the units everywhere: the seeds and folds of a subject are averaged first.
"""

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
from skeegformer.evaluation.ranking import Ranking, critical_value, rank_pipelines

__all__ = [
    "compare_pipelines",
    "meta_analysis",
    "rank_pipelines",
    "critical_value",
    "Ranking",
    "ALL_TASKS",
]

ALL_TASKS = "all tasks"


def compare_pipelines(
    scores,
    reference,
    *,
    metric="balanced_accuracy",
    test="wilcoxon",
    level=0.95,
    random_state=0,
):
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
    metric : {"balanced_accuracy", "roc_auc", "calibration_error"}, default="balanced_accuracy"
        What is compared. Of a calibration error less is better.
    test : {"wilcoxon", "permutation"}, default="wilcoxon"
        Which p values are corrected for the number of pipelines.
    level : float, default=0.95
        How often intervals should hold the true value.
    random_state : int, default=0
        Decides on the flips of signs of more than 14 subjects; of fewer, all are counted.

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
        - ``p_wilcoxon``: Wilcoxon's signed-rank test, two-sided and exact for any number of
          subjects. Ties share their mean rank; zeros are ranked and then left out, as by
          Pratt [1]_;
        - ``p_permutation``: the mean difference under flips of its signs, two-sided, and
          ``p_better``, one-sided: small where the pipeline is better;
        - ``p_holm``: p values of `test`, corrected by Holm [2]_ over the pipelines of a task;
        - ``d_z``: the mean difference over its standard deviation, ``d_low`` and ``d_high``,
          its interval by the noncentral t distribution;
        - ``rank_biserial``: the share of positive signed ranks less that of negative
          ones [3]_.

    Raises
    ------
    ValueError
        If kinds of information or protocols are mixed, the reference is missing, pipelines
        do not have equal subjects, there are fewer than 2, or a score is NaN.

    See Also
    --------
    meta_analysis : Combines tasks in MOABB's manner.
    rank_pipelines : All pairs instead of one reference.

    Notes
    -----
    With 5 subjects or fewer no two-sided p value of these tests is below 0.05.

    References
    ----------
    .. [1] Pratt (1959), Remarks on zeros and ties in the Wilcoxon signed rank procedures.
       JASA 54. doi:10.1080/01621459.1959.10501526
    .. [2] Holm (1979), A simple sequentially rejective multiple test procedure. Scandinavian
       Journal of Statistics 6.
    .. [3] Kerby (2014), The simple difference formula. Comprehensive Psychology 3.
       doi:10.2466/11.IT.3.1

    Examples
    --------
    >>> import pandas as pd
    >>> from skeegformer.evaluation.statistics import compare_pipelines
    >>> scores = pd.DataFrame({
    ...     "pipeline": ["CSP+LDA"] * 6 + ["transformer"] * 6,
    ...     "subject": [1, 2, 3, 4, 5, 6] * 2,
    ...     "balanced_accuracy": [0.5, 0.6, 0.7, 0.5, 0.6, 0.8, 0.6, 0.8, 0.8, 0.7, 0.7, 0.9],
    ... })
    >>> row = compare_pipelines(scores, "CSP+LDA").iloc[0]
    >>> print(f"{row['difference']:.3f}, p = {row['p_wilcoxon']:.4f}")
    0.133, p = 0.0312
    """
    check_one_of("test", test, ("wilcoxon", "permutation"))
    paired.check_share("level", level, 0.95)
    tables = _tables_with(scores, reference, metric)
    if len(tables) > 1:
        together = mean_over_tasks(tables)
        if len(together) >= 2:
            tables = {**tables, ALL_TASKS: together}
    out = []
    for task, table in tables.items():
        rows = pd.DataFrame(
            [
                {
                    "task": task,
                    "pipeline": pipeline,
                    "reference": reference,
                    **_compare(table[pipeline], table[reference], metric, level, random_state),
                }
                for pipeline in table.columns.drop(reference)
            ]
        )
        if len(rows):
            rows.insert(
                rows.columns.get_loc("d_z"), "p_holm", paired.holm(rows[f"p_{test}"].to_numpy())
            )
            out.append(rows)
    if not out:
        raise ValueError(f"There is no pipeline but {reference!r} in the scores to compare.")
    return pd.concat(out, ignore_index=True)


def meta_analysis(scores, reference, *, metric="balanced_accuracy", level=0.95, random_state=0):
    """Combine what tasks say of pipelines against a reference, in MOABB's manner.

    Standardized differences of the tasks are averaged, and their one-sided p values combined
    by Stouffer's method, both weighted by the square root of the number of subjects [1]_.

    Parameters
    ----------
    scores : pandas.DataFrame
        As for `compare_pipelines`; there as well equal subjects of different tasks are the same
        person.
    reference : str
        The pipeline that the others are compared with.
    metric : {"balanced_accuracy", "roc_auc", "calibration_error"}, default="balanced_accuracy"
        What is compared.
    level : float, default=0.95
        How often intervals should hold the true value.
    random_state : int, default=0
        Decides on the flips of signs of more than 14 subjects.

    Returns
    -------
    pandas.DataFrame
        A row for each pipeline that all tasks have: ``pipeline``, ``reference``,
        ``n_tasks``, ``n_subjects`` (different people), ``effect`` with the ends ``low`` and
        ``high`` of its interval, and ``p_stouffer``, small where the pipeline is better.

    Raises
    ------
    ValueError
        As in `compare_pipelines`.

    See Also
    --------
    compare_pipelines : Its rows of "all tasks" hold for equal subjects in all tasks as well.

    Notes
    -----
    Stouffer's method takes tasks to be independent, as datasets of different people are.
    **With the same subjects in several tasks its p value is too small**; report then the p
    values of "all tasks" of `compare_pipelines`. The interval of the effect does not assume
    it: it leaves out one subject at a time from all tasks (jackknife).

    References
    ----------
    .. [1] Jayaram & Barachant (2018), MOABB: trustworthy algorithm benchmarking for BCIs.
       Journal of Neural Engineering 15. doi:10.1088/1741-2552/aadea0

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skeegformer.evaluation.statistics import meta_analysis
    >>> rng = np.random.default_rng(0)
    >>> rows = [
    ...     {"task": task, "pipeline": name, "subject": subject,
    ...      "balanced_accuracy": rng.normal(mean, 0.05)}
    ...     for task in ("eyes", "fists")
    ...     for name, mean in (("CSP+LDA", 0.6), ("transformer", 0.7))
    ...     for subject in range(8)
    ... ]
    >>> found = meta_analysis(pd.DataFrame(rows), "CSP+LDA")
    >>> found["n_tasks"].tolist(), bool(found["effect"].iloc[0] > 0)
    ([2], True)
    """
    paired.check_share("level", level, 0.95)
    tables = _tables_with(scores, reference, metric)
    first, *others = tables.values()
    names = [name for name in first if all(name in other for other in others)]
    rows = []
    for name in names:
        if name == reference:
            continue
        diffs = [
            pd.Series(paired.differences(table[name], table[reference]), index=table.index)
            for table in tables.values()
        ]
        roots = np.sqrt([len(one) for one in diffs])
        p_values = [_p_for_stouffer(one.to_numpy(), metric, random_state) for one in diffs]
        low, high, n_subjects = _jackknife(diffs, roots, level)
        rows.append(
            {
                "pipeline": name,
                "reference": reference,
                "n_tasks": len(diffs),
                "n_subjects": n_subjects,
                "effect": _combined_effect(diffs, roots),
                "low": low,
                "high": high,
                "p_stouffer": float(
                    stats.combine_pvalues(p_values, method="stouffer", weights=roots)[1]
                ),
            }
        )
    if not rows:
        raise ValueError(f"No pipeline but {reference!r} is in all tasks of the scores.")
    return pd.DataFrame(rows)


def _tables_with(scores, reference, metric):
    """Make a table of subjects x pipelines for each task; each needs the reference."""
    tables = tables_by_task(check_scores(scores, metric), metric)
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
    return tables


def _compare(scores, reference, metric, level, random_state):
    """Compare two pipelines on the same subjects."""
    diffs = paired.differences(scores, reference)
    better = diffs if METRICS[metric][1] else -diffs
    low, high = paired.mean_interval(diffs, level)
    effect = paired.standardized(diffs)
    d_low, d_high = paired.standardized_interval(effect, len(diffs), level)
    p_wilcoxon, biserial = paired.signed_rank(diffs)
    p_permutation, p_better = paired.sign_flips(better, random_state)
    return {
        "n_subjects": len(diffs),
        "mean": float(scores.mean()),
        "reference_mean": float(reference.mean()),
        "difference": float(diffs.mean()),
        "low": float(low),
        "high": float(high),
        "wins": int((better > 0).sum()),
        "ties": int((better == 0).sum()),
        "losses": int((better < 0).sum()),
        "p_wilcoxon": p_wilcoxon,
        "p_permutation": p_permutation,
        "p_better": p_better,
        "d_z": effect,
        "d_low": d_low,
        "d_high": d_high,
        "rank_biserial": biserial,
    }


def _combined_effect(diffs, weights):
    effects = [paired.standardized(one.to_numpy()) for one in diffs]
    return float(np.average(effects, weights=weights))


def _jackknife(diffs, weights, level):
    """Compute the interval of the combined effect, leaving out each subject from all tasks."""
    subjects = list(dict.fromkeys(subject for one in diffs for subject in one.index))
    n_subjects = len(subjects)
    if min(len(one) for one in diffs) < 4:
        return np.nan, np.nan, n_subjects
    effects = np.array(
        [
            _combined_effect([one.drop(subject, errors="ignore") for one in diffs], weights)
            for subject in subjects
        ]
    )
    effect = _combined_effect(diffs, weights)
    if not np.isfinite([*effects, effect]).all():
        return np.nan, np.nan, n_subjects
    half = stats.t.isf((1 - level) / 2, n_subjects - 1) * np.sqrt((n_subjects - 1) * effects.var())
    return effect - half, effect + half, n_subjects


def _p_for_stouffer(diffs, metric, random_state):
    """Return a one-sided p value that is neither 0 nor 1, which Stouffer's method cannot use."""
    if not diffs.any():
        return 0.5  # equal pipelines speak for neither
    p_better = paired.sign_flips(diffs if METRICS[metric][1] else -diffs, random_state)[1]
    return min(p_better, 1 - 2.0 ** -min(len(diffs), 14))

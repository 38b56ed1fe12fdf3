"""What explanations say of a group of subjects: means, intervals, agreement of seeds.

Subjects are the units everywhere: epochs of one subject resemble each other, so each
subject's epochs are averaged before anything is counted.
"""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d

from skeegformer._validation import check_count, check_one_of, name_channels

# Differences below this share of the values are the rounding errors of means over epochs.
ROUNDING = 1e-12


def subject_means(explanation, by="class", labels="auto"):
    """Average the values of each subject.

    Parameters
    ----------
    explanation : Explanation
        With subjects.
    by : {"class", "part", None} or array-like of shape (n_epochs,), default="class"
        A table for each class, for each part (band or temporal token), for each of these labels,
        such as the group of the epoch's subject, or one of everything.
    labels : {"auto", "true", "predicted"}, default="auto"
        Which label decides on an epoch's class; "auto" takes the true ones where they are
        known.

    Returns
    -------
    dict of pandas.DataFrame, or pandas.DataFrame
        For each class that occurs, or each part, a table of subjects x channels; a subject
        without epochs of a class has no row there. With ``by=None`` one table.

    Raises
    ------
    ValueError
        If the subjects, or labels that are asked for, are not known, or values are not
        finite.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer.explain import Explanation
    >>> from skeegformer.explain.statistics import subject_means
    >>> explanation = Explanation(
    ...     token_values=np.array([[[1.0]], [[3.0]], [[7.0]]]),
    ...     probabilities=np.array([[0.9, 0.1]] * 3),
    ...     classes=np.array(["left", "right"]),
    ...     y=None,
    ...     ch_names=["Cz"],
    ...     info=None,
    ...     method="rollout",
    ...     subjects=np.array([1, 1, 2]),
    ... )
    >>> subject_means(explanation)["left"]["Cz"].tolist()
    [2.0, 7.0]
    """
    if isinstance(by, str) or by is None:
        check_one_of("by", by, ("class", "part", None))
    if explanation.subjects is None:
        raise ValueError("The subjects are not known: pass groups to explain.")
    if not np.isfinite(explanation.token_values).all():
        raise ValueError("Some values of the explanation are NaN or infinite: it has no means.")
    values, subjects = explanation.values, explanation.subjects
    if by is None:
        return _means(values, subjects, explanation)
    if isinstance(by, str) and by == "part":
        return {
            part: _means(explanation.token_values[:, :, k], subjects, explanation)
            for k, part in enumerate(explanation.parts)
        }
    if isinstance(by, str):
        y, known = explanation.labels(labels), explanation.classes
    else:
        y = column_or_1d(by)
        check_consistent_length(y, values)
        known = np.unique(y)
    return {
        label: _means(values[y == label], subjects[y == label], explanation)
        for label in known
        if (y == label).any()
    }


def bootstrap_intervals(
    explanation, *, level=0.95, n_resamples=2000, random_state=None, by="class", labels="auto"
):
    """Compute the mean of each channel over subjects, with its interval of confidence.

    Whole subjects are resampled, so that channels stay together and the interval speaks of
    further subjects, not of further epochs of the same ones. Intervals are bias-corrected
    and accelerated (BCa) [1]_, and widened for few subjects as in [2]_: otherwise 12
    subjects would give 90 % where 95 % is asked for.

    Parameters
    ----------
    explanation : Explanation, or array-like of shape (n_subjects, n_chans)
        With subjects; or their means, as a table of `subject_means`.
    level : float, default=0.95
        How often the interval should hold the true mean.
    n_resamples : int, default=2000
        How often subjects are drawn.
    random_state : int, RandomState instance or None, default=None
        Decides on the draws.
    by : {"class", "part", None}, default="class"
        See `subject_means`; of no account for an array.
    labels : {"auto", "true", "predicted"}, default="auto"
        See `subject_means`.

    Returns
    -------
    dict of pandas.DataFrame, or pandas.DataFrame
        For each class or part a table with a row for each channel and the columns ``mean``,
        ``low`` and ``high``, in the unit of the values. One table with ``by=None`` and for
        an array.

    Raises
    ------
    ValueError
        If there are fewer than 3 subjects, `level` is not between 0 and 1, values are not
        finite, or the subjects are not known.

    Notes
    -----
    An interval holds for each channel by itself. No bootstrap goes beyond the lowest and
    the highest subject: with fewer than 6, intervals are too narrow.

    References
    ----------
    .. [1] Efron (1987), Better bootstrap confidence intervals. JASA 82.
       doi:10.1080/01621459.1987.10478410
    .. [2] Hesterberg (2015), What teachers should know about the bootstrap. The American
       Statistician 69. doi:10.1080/00031305.2015.1089789

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer.explain.statistics import bootstrap_intervals
    >>> values = np.random.default_rng(0).normal(size=(12, 2))
    >>> intervals = bootstrap_intervals(values, random_state=0)
    >>> bool((intervals["low"] < intervals["mean"]).all())
    True
    """
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level={level!r} is not between 0 and 1; 0.95 is usual.")
    check_count("n_resamples", n_resamples, 100)
    options = {"level": level, "n_resamples": n_resamples}
    if not hasattr(explanation, "token_values"):
        return _intervals(explanation, random_state=random_state, **options)
    tables = subject_means(explanation, by=by, labels=labels)
    if by is None:
        return _intervals(tables, random_state=random_state, **options)
    random_state = check_random_state(random_state)
    return {
        name: _intervals(table, f" of '{name}'", random_state=random_state, **options)
        for name, table in tables.items()
    }


@dataclass(frozen=True, repr=False, eq=False)
class SeedStability:
    """The result of `seed_stability`.

    Parameters
    ----------
    mean, low, high : float
        Mean, smallest and largest Spearman correlation between the feature importances of
        two explanations.
    correlations : ndarray of shape (n_explanations, n_explanations)
        Of all pairs.
    rank_sd : pandas.Series of length n_chans
        Standard deviation of each channel's rank over explanations; 0 where all agree.

    See Also
    --------
    seed_stability : Makes them.
    """

    mean: float
    low: float
    high: float
    correlations: np.ndarray
    rank_sd: pd.Series

    def __repr__(self):
        return (
            f"{len(self.correlations)} explanations agree on the order of {len(self.rank_sd)} "
            f"channels at rho = {self.mean:.2f} (pairs {self.low:.2f} to {self.high:.2f}); "
            f"a channel's rank varies by {self.rank_sd.mean():.1f} (SD)"
        )


def seed_stability(explanations):
    """Measure how far explanations of several seeds, or models, agree on the channels.

    What changes with the seed of training is no property of the data.

    Parameters
    ----------
    explanations : list of Explanation
        At least two, of the same channels; of several methods or models if need be.

    Returns
    -------
    SeedStability
        Correlations of their ``feature_importances_``, and how much ranks vary.

    Raises
    ------
    ValueError
        If there are fewer than two, their channels differ, or one finds all channels
        equally important, so that it has no order.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer.explain import Explanation
    >>> from skeegformer.explain.statistics import seed_stability
    >>> def explanation_of(values):
    ...     return Explanation(
    ...         token_values=np.array(values, dtype=float).reshape(1, -1, 1),
    ...         probabilities=np.array([[0.9, 0.1]]),
    ...         classes=np.array(["left", "right"]),
    ...         y=None,
    ...         ch_names=["C3", "Cz", "C4"],
    ...         info=None,
    ...         method="rollout",
    ...     )
    >>> seed_stability([explanation_of([5, 2, 1]), explanation_of([5, 1, 2])]).mean
    0.5
    """
    explanations = list(explanations)
    if len(explanations) < 2:
        raise ValueError(f"Agreement needs at least 2 explanations, not {len(explanations)}.")
    names = channel_names(explanations[0])
    importances = []
    for k, explanation in enumerate(explanations):
        if channel_names(explanation) != names:
            raise ValueError(
                f"Explanation {k} is of other channels than explanation 0, or has them in another "
                "order: explain models of the same channels."
            )
        importances.append(explanation.feature_importances_)
        if np.ptp(importances[k]) == 0:
            raise ValueError(
                f"Explanation {k} finds all channels equally important: it ranks none of them."
            )
    ranks = stats.rankdata(-np.array(importances), axis=1)
    correlations = np.corrcoef(ranks)
    pairs = correlations[np.triu_indices(len(ranks), k=1)]
    return SeedStability(
        mean=float(pairs.mean()),
        low=float(pairs.min()),
        high=float(pairs.max()),
        correlations=correlations,
        rank_sd=pd.Series(ranks.std(axis=0, ddof=1), index=names, name="rank_sd"),
    )


def channel_names(explanation):
    """Name the channels, by number where names are not known.

    Parameters
    ----------
    explanation : Explanation
        Of these channels.

    Returns
    -------
    list of str
        Their names.
    """
    return name_channels(explanation.ch_names, explanation.token_values.shape[1])


def _means(values, subjects, explanation):
    table = pd.DataFrame(values, columns=channel_names(explanation))
    return table.groupby(pd.Index(subjects, name="subject")).mean()


def _intervals(table, of="", *, level, n_resamples, random_state):
    values = np.asarray(table, dtype=float)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(
            f"The values{of} have shape {values.shape}, or are NaN or infinite in places: give an "
            "Explanation, or finite means of shape (n_subjects, n_chans)."
        )
    n_subjects = len(values)
    if n_subjects < 3:
        raise ValueError(
            f"An interval over subjects needs at least 3, but the values{of} are of {n_subjects}."
        )
    means = values.mean(axis=0)
    low, high = means.copy(), means.copy()
    # Where all subjects are equal, BCa is undefined and the interval is the value itself.
    varies = np.ptp(values, axis=0) > ROUNDING * np.abs(values).max(axis=0)
    if varies.any():
        t = stats.t.isf((1 - level) / 2, n_subjects - 1) * np.sqrt(n_subjects / (n_subjects - 1))
        found = stats.bootstrap(
            (values[:, varies],),
            np.mean,
            axis=0,
            vectorized=True,
            method="BCa",
            confidence_level=1 - 2 * stats.norm.sf(t),
            n_resamples=n_resamples,
            batch=max(1, 10**7 // values.size),  # bounds the memory, and changes no number
            random_state=check_random_state(random_state),
        ).confidence_interval
        low[varies], high[varies] = found
    names = getattr(table, "columns", None)
    if names is None:
        names = name_channels(None, values.shape[1])
    return pd.DataFrame({"mean": means, "low": low, "high": high}, index=pd.Index(names))

"""Tests, intervals and effect sizes of paired differences, one for each subject."""

from numbers import Real

import numpy as np
from scipy import optimize, stats
from sklearn.utils import check_random_state

# Exact for up to 14 subjects, whose signs can be flipped in so many ways.
_N_FLIPS = 2**14
# Differences of accuracies that ought to be equal differ in their last digits, of computing and of
# tables that were written with fewer; those that are not equal rarely differ by less than 1e-6.
_DECIMALS = 9


def check_share(name, value, usual):
    """Refuse what is no level of confidence or significance."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < 1:
        raise ValueError(f"{name}={value!r} is not between 0 and 1; {usual} is usual.")


def rounded(scores):
    """Round, so that scores that ought to be equal are equal to the last digit.

    Parameters
    ----------
    scores : array-like
        Scores, or differences of them.

    Returns
    -------
    ndarray
        Of the same shape.
    """
    return np.round(np.asarray(scores, dtype=float), _DECIMALS)


def differences(scores, reference):
    """Subtract, so that equal differences are equal to the last digit.

    Parameters
    ----------
    scores, reference : array-like of shape (n_subjects,)
        Of the same subjects.

    Returns
    -------
    ndarray of shape (n_subjects,)
        The differences.
    """
    return rounded(np.asarray(scores, dtype=float) - np.asarray(reference, dtype=float))


def signed_rank(diffs):
    """Test whether differences are symmetric about 0: Wilcoxon's signed ranks, exactly.

    Zeros take part in the ranking and are then left out (Pratt), ties share their mean
    rank. The distribution is that of all flips of signs, counted rather than sampled, so it
    holds with ties and for any number of subjects, unlike SciPy's.

    Parameters
    ----------
    diffs : ndarray of shape (n_subjects,)
        Differences, rounded.

    Returns
    -------
    p_value : float
        Two-sided; 1 where all differences are 0.
    biserial : float
        Matched-pairs rank-biserial correlation: the share of positive ranks minus that of
        negative ones; 0 where all differences are 0.
    """
    # Twice the mean ranks are whole numbers, which a distribution can be counted over.
    ranks = np.rint(2 * stats.rankdata(np.abs(diffs))).astype(int)[diffs != 0]
    if len(ranks) == 0:
        return 1.0, 0.0
    total, observed = ranks.sum(), ranks[diffs[diffs != 0] > 0].sum()
    share = np.zeros(total + 1)
    share[0] = 1.0
    for rank in ranks:
        share[rank:] = (share[rank:] + share[:-rank]) / 2
        share[:rank] /= 2
    tail = min(share[: observed + 1].sum(), share[observed:].sum())
    return float(min(1.0, 2 * tail)), float((2 * observed - total) / total)


def sign_flips(diffs, random_state):
    """Test whether differences have mean 0 by flipping their signs.

    Parameters
    ----------
    diffs : ndarray of shape (n_subjects,)
        Differences.
    random_state : int or RandomState instance
        Decides on the flips of more than 14 subjects; of fewer, all are counted.

    Returns
    -------
    two_sided, greater : float
        p values, never 0; `greater` is small where the mean is above 0.
    """
    if len(diffs) <= np.log2(_N_FLIPS):
        flips = 1 - 2.0 * (np.arange(2 ** len(diffs))[:, None] >> np.arange(len(diffs)) & 1)
    else:
        rng = check_random_state(random_state)
        flips = rng.choice([-1.0, 1.0], size=(_N_FLIPS, len(diffs)))
        flips[0] = 1.0  # what was observed is one of the possible flips
    sums = np.round(flips @ diffs, _DECIMALS - 2)
    greater = float((sums >= sums[0]).mean())
    return float((np.abs(sums) >= abs(sums[0])).mean()), greater


def mean_interval(values, level):
    """Compute the t interval of a mean over subjects.

    Parameters
    ----------
    values : array-like of shape (n_subjects, ...)
        One for each subject.
    level : float
        How often the interval should hold the true mean.

    Returns
    -------
    low, high : ndarray of shape (...)
        Its ends; NaN for fewer than 2 subjects.
    """
    values = np.asarray(values, dtype=float)
    n_subjects, mean = len(values), np.mean(values, axis=0)
    if n_subjects < 2:
        return np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    error = values.std(axis=0, ddof=1) / np.sqrt(n_subjects)
    half = stats.t.isf((1 - level) / 2, n_subjects - 1) * error
    return mean - half, mean + half


def standardized(diffs):
    """Divide the mean of differences by their standard deviation (Cohen's d_z).

    Parameters
    ----------
    diffs : ndarray of shape (n_subjects,)
        Differences, rounded.

    Returns
    -------
    float
        0 where all are 0, infinite where all are equal otherwise.
    """
    mean = diffs.mean()
    if np.ptp(diffs) == 0:
        return 0.0 if mean == 0 else float(np.copysign(np.inf, mean))
    return float(mean / diffs.std(ddof=1))


def standardized_interval(effect, n_subjects, level):
    """Compute the interval of a standardized difference from the noncentral t distribution.

    Parameters
    ----------
    effect : float
        Cohen's d_z.
    n_subjects : int
        Of so many subjects.
    level : float
        How often the interval should hold the true effect.

    Returns
    -------
    low, high : float
        Its ends; NaN for an effect that is infinite or of fewer than 3 subjects.
    """
    if n_subjects < 3 or not np.isfinite(effect):
        return np.nan, np.nan
    root = np.sqrt(n_subjects)
    t, tail, df = effect * root, (1 - level) / 2, n_subjects - 1
    # The distribution function as a mean over the possible standard deviations: scipy.stats.nct
    # is NaN in its far tails, where the search below has to begin.
    spreads = np.sqrt(stats.chi2.ppf((np.arange(2000) + 0.5) / 2000, df) / df)

    def end(probability):
        # 12 standard errors to each side; the error of d_z grows with d_z itself.
        reach = 12 * np.sqrt(1 + t**2 / (2 * df)) + abs(t)
        return optimize.brentq(
            lambda centre: stats.norm.cdf(t * spreads - centre).mean() - probability,
            t - reach,
            t + reach,
        )

    return float(end(1 - tail) / root), float(end(tail) / root)


def holm(p_values):
    """Correct p values of several tests for their number (Holm's step-down method).

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        Uncorrected.

    Returns
    -------
    ndarray of shape (n_tests,)
        Corrected: the chance of even one false alarm among all tests is at most as large.
    """
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(order), 0, -1)
    out = np.empty(len(order))
    out[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return out

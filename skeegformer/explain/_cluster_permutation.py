"""Cluster permutation tests by MNE, with t statistics that stay finite."""

import warnings
from numbers import Real

import mne
import numpy as np
from scipy import stats
from scipy.sparse import coo_array
from sklearn.utils import check_random_state

# A channel's variance counts as at least this share of its mean square (of two groups, of its
# variance over all subjects). That keeps t finite where all subjects differ by the same amount, and
# changes no effect of less than 100 standard deviations. Permutations do not change it, so that
# the test stays exact.
_VARIANCE_FLOOR = 1e-4


def check_threshold(threshold, n_degrees, tail):
    """Check the t from which channels belong to clusters, or choose that of p = 0.05."""
    if threshold is None:
        return float(stats.t.isf(0.05 / (2 if tail == 0 else 1), n_degrees))
    if isinstance(threshold, dict):
        if set(threshold) == {"start", "step"} and threshold["start"] >= 0 < threshold["step"]:
            return dict(threshold)
    elif isinstance(threshold, Real) and 0 < threshold < np.inf:
        return float(threshold)
    raise ValueError(
        f"threshold={threshold!r} is not an absolute t above 0, a dict such as "
        "{'start': 0, 'step': 0.2}, or None."
    )


def check_adjacency(adjacency, n_chans):
    """Make a symmetric array of bool of (n_chans, n_chans)."""
    adjacency = getattr(adjacency, "toarray", lambda: np.asarray(adjacency))().astype(bool)
    if adjacency.shape != (n_chans, n_chans) or (adjacency != adjacency.T).any():
        raise ValueError(
            f"adjacency has shape {adjacency.shape}, but has to be symmetric and of shape "
            f"({n_chans}, {n_chans}): a row and a column for each channel."
        )
    return adjacency


def paired_t(differences):
    """Compute the t of each channel's differences, 0 where there is none at all."""
    mean_square = (differences**2).mean(axis=0)
    variance = _at_least(differences.var(axis=0, ddof=1), mean_square)
    return differences.mean(axis=0) / np.sqrt(variance / len(differences))


def independent_t(x, z):
    """Compute the t of each channel's two samples, with their pooled variance."""
    n_degrees = len(x) + len(z) - 2
    squares = sum(((one - one.mean(axis=0)) ** 2).sum(axis=0) for one in (x, z))
    variance = _at_least(squares / n_degrees, np.concatenate([x, z]).var(axis=0))
    return (x.mean(axis=0) - z.mean(axis=0)) / np.sqrt(variance * (1 / len(x) + 1 / len(z)))


def _at_least(variance, whole):
    return np.where(whole == 0, 1.0, np.maximum(variance, _VARIANCE_FLOOR * whole))


def find_clusters(samples, statistic, adjacency, threshold, n_permutations, tail, random_state):
    """Find clusters of (n_clusters, n_chans), and their p, of one sample or of two."""
    options = {
        "threshold": threshold,
        "n_permutations": n_permutations,
        "tail": tail,
        "stat_fun": statistic,
        "adjacency": coo_array(adjacency),
        "out_type": "mask",
        "buffer_size": None,
        "seed": check_random_state(random_state),
    }
    with warnings.catch_warnings(), mne.utils.use_log_level("ERROR"):
        warnings.filterwarnings("ignore", message="No clusters found")
        if len(samples) == 1:
            found = mne.stats.permutation_cluster_1samp_test(samples[0], **options)
        else:
            found = mne.stats.permutation_cluster_test(samples, **options)
    clusters, p_values = found[1:3]
    clusters = np.reshape(clusters, (-1, samples[0].shape[1])).astype(bool)
    order = np.argsort(p_values, kind="stable")
    return clusters[order], np.asarray(p_values)[order]

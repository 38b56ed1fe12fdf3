"""Whether two conditions differ, over subjects and the scalp: cluster permutation by MNE."""

import warnings
from dataclasses import dataclass
from numbers import Real

import mne
import numpy as np
import pandas as pd
from scipy import stats
from scipy.sparse import coo_array
from scipy.special import comb
from sklearn.utils import check_random_state

from skeegformer._validation import check_count, check_one_of
from skeegformer.explain._electrodes import find_adjacency
from skeegformer.explain._statistics import ROUNDING, subject_means
from skeegformer.explain.methods import METHODS

_LARGEST_T = 1000.0  # it would be infinite where all subjects differ by the same amount
_ROUNDING_OF_T = 1e-9  # sums of t that differ by less than this share are equal


@dataclass(frozen=True, repr=False, eq=False)
class ClusterTest:
    """The result of `Explanation.compare`; printing it gives a summary.

    Parameters
    ----------
    conditions : tuple of two labels
        The compared conditions.
    difference : ndarray of shape (n_chans,)
        Mean over subjects of the difference between the first and the second condition.
    t_values : ndarray of shape (n_chans,)
        t statistic of each channel, paired or for independent samples, limited to 1000.
    clusters : ndarray of bool of shape (n_clusters, n_chans)
        The channels of each cluster, in ascending order of p.
    p_values : ndarray of shape (n_clusters,)
        p value of each cluster, corrected for multiple comparisons over channels.
    mask : ndarray of bool of shape (n_chans,)
        Channels of clusters with p <= alpha.
    paired, n_subjects : bool and int
        Whether conditions were compared within subjects, and the number of subjects.
    ch_names : list of str
        The channels.
    alpha, threshold : float
        As passed to `compare`, or the t value for p = 0.05.
    n_permutations : int
        Number of permutations, including the observed data.
    smallest_possible_p : float
        The smallest p value that the test can give.
    """

    conditions: tuple
    difference: np.ndarray
    t_values: np.ndarray
    clusters: np.ndarray
    p_values: np.ndarray
    mask: np.ndarray
    paired: bool
    n_subjects: int
    ch_names: list
    alpha: float
    threshold: float
    n_permutations: int
    smallest_possible_p: float

    def __repr__(self):
        first, second = self.conditions
        kind = "sign flips" if self.paired else "random divisions into groups"
        n_possible = round(1 / self.smallest_possible_p)
        if n_possible < self.n_permutations:
            kind += f", of {n_possible} that there are"
        design = "who have both, paired" if self.paired else "in two groups, independent samples"
        lines = [
            f"{first} against {second}: cluster permutation test over {self.n_subjects} subjects "
            f"({design}) and {len(self.ch_names)} channels ({self.n_permutations} {kind}, "
            f"alpha = {self.alpha:g})."
        ]
        if not self.mask.any():
            reason = "no channel's t reaches the threshold"
            if len(self.p_values):
                reason = f"smallest p = {self.p_values[0]:.2g}"
            lines.append(f"No difference was found: {reason}.")
            if self.smallest_possible_p > self.alpha:
                lines.append(_cannot_find(self.n_subjects, self.smallest_possible_p, self.alpha))
            return "\n".join([*lines, "That is no evidence that the conditions are the same."])
        lines.append(f"The conditions differ (p = {self.p_values[0]:.2g}).")
        for cluster, p in zip(self.clusters, self.p_values, strict=True):
            if p <= self.alpha:
                mean, order = self.difference[cluster].mean(), np.flatnonzero(cluster)
                order = order[np.argsort(-np.abs(self.t_values[order]))]
                lines.append(
                    f"  higher for {first if mean > 0 else second} by "
                    f"{abs(self.difference[cluster]).mean():.2g} on average (p = {p:.2g}): "
                    f"{', '.join(self.ch_names[i] for i in order)}"
                )
        lines.append(
            "That they differ is what was tested; which channels make up a cluster depends on "
            "the threshold and is no finding about place or extent."
        )
        if abs(self.difference.sum()) <= 1e-6 * abs(self.difference).max():  # shares
            lines.append("Values add up to the same in both: more here is less elsewhere.")
        return "\n".join(lines)


def compare(
    self,
    a,
    b,
    *,
    by="class",
    alpha=0.05,
    n_permutations=2048,
    threshold=None,
    adjacency=None,
    random_state=None,
):
    """Test whether two conditions differ, with a cluster permutation test over channels.

    Subjects are the observations [1]_. Neighbouring channels whose t value exceeds a threshold form
    a cluster. Its mass, the sum of its t values, is compared with the largest masses under
    permutation, so that the family-wise error rate over all channels is at most alpha. If subjects
    have both conditions, t is paired, and the signs of subjects' differences are flipped. If no
    subject has both, two groups are compared by an independent-samples t, and subjects are permuted
    between groups.

    Parameters
    ----------
    a, b : object
        Two classes, two parts, or two values of the labels.
    by : {"class", "part"} or array-like of shape (n_epochs,), default="class"
        What `a` and `b` refer to; see `subject_means`.
    alpha : float, default=0.05
        Significance level.
    n_permutations : int, default=2048
        Number of permutations, including the observed data. For pairs, if there are no more sign
        flips than this (up to 12 subjects for 2048), all are used, and the test is exact.
    threshold : float or None, default=None
        Absolute t value above which a channel belongs to a cluster; None for that of p = 0.05 for a
        single channel.
    adjacency : array-like or sparse of shape (n_chans, n_chans) or None, default=None
        Channel adjacency; None for that of `mne.channels.find_ch_adjacency`.
    random_state : int, RandomState instance or None, default=None
        Seed for the permutations, if not all are used.

    Returns
    -------
    ClusterTest
        Clusters, their p values, and a summary.

    Raises
    ------
    ValueError
        If conditions are unknown or the same, subjects or positions are unknown, there are fewer
        than 2 subjects (in each group), or a parameter is out of range; or if values would differ
        without any difference in the data, because the conditions were explained for different
        targets or (for all methods but "rollout") by the models of several folds that were trained
        to distinguish the conditions.

    Warns
    -----
    UserWarning
        If subjects that lack a condition are left out, or if there are too few subjects for p to
        reach alpha: with n pairs, p is at least 2 ** -(n - 1).

    Notes
    -----
    A significant cluster shows that the conditions differ, not that they differ at each of its
    channels or nowhere else: single channels are not tested [2]_.

    References
    ----------
    .. [1] Maris and Oostenveld (2007), Nonparametric statistical testing of EEG- and
       MEG-data. J Neurosci Methods 164. doi:10.1016/j.jneumeth.2007.03.024
    .. [2] Sassenhagen and Draschkow (2019), Cluster-based permutation tests of MEG/EEG data
       do not establish significance of effect latency or location. Psychophysiology 56.
       doi:10.1111/psyp.13335
    """
    if not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha!r} is not between 0 and 1; 0.05 is usual.")
    check_count("n_permutations", n_permutations, int(np.ceil(1 / alpha)))
    first, second, paired = _samples(self, a, b, by)
    _refuse_unlike_models(self, a, b, by)
    n_subjects = len(first) if paired else len(first) + len(second)
    if threshold is None:
        threshold = float(stats.t.isf(0.05 / 2, n_subjects - (1 if paired else 2)))
    if not isinstance(threshold, Real) or not 0 < threshold < np.inf:
        raise ValueError(f"threshold={threshold!r} is not an absolute t above 0, or None.")
    n_chans = first.shape[1]
    if adjacency is None:
        adjacency = find_adjacency(self.info, "A test of clusters")
    adjacency = getattr(adjacency, "toarray", lambda: np.asarray(adjacency))().astype(bool)
    if adjacency.shape != (n_chans, n_chans) or (adjacency != adjacency.T).any():
        raise ValueError(
            f"adjacency has shape {adjacency.shape}, but has to be symmetric and of shape "
            f"({n_chans}, {n_chans}): a row and a column for each channel."
        )
    if paired:
        n_possible = 2 ** (n_subjects - 1)
    else:  # exchanging groups of equal size turns the sign alone
        n_possible = comb(n_subjects, len(first), exact=True)
        n_possible //= 2 if len(first) == len(second) else 1
    if 1 / n_possible > alpha:
        warnings.warn(_cannot_find(n_subjects, 1 / n_possible, alpha), stacklevel=2)

    x, z = first.to_numpy(copy=True), second.to_numpy(copy=True)
    scale = ROUNDING * np.maximum(np.abs(x).max(axis=0), np.abs(z).max(axis=0))
    if paired:
        x -= z
        samples = [np.where(np.abs(x) <= scale, 0.0, x)]
    else:
        samples = [np.where(np.abs(one - x[0]) <= scale, x[0], one) for one in (x, z)]
    run = mne.stats.permutation_cluster_1samp_test if paired else mne.stats.permutation_cluster_test
    t_values, smallest = _t_values(*samples), 1 / min(n_possible, n_permutations)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No clusters found")
        _, clusters, p_values, masses = run(
            samples[0] if paired else samples,
            threshold=threshold,
            n_permutations=n_permutations,
            stat_fun=_t_values,
            adjacency=coo_array(adjacency),
            out_type="mask",
            buffer_size=None,
            seed=check_random_state(random_state),
            verbose="ERROR",
        )
    clusters = np.reshape(clusters, (-1, n_chans)).astype(bool)
    if len(clusters):
        # The division of the data turns up again among few subjects, and rounding must not hide it.
        least = (1 - _ROUNDING_OF_T) * np.abs(clusters @ t_values)
        p_values = (np.abs(masses) >= least[:, np.newaxis]).mean(axis=1)
    p_values = np.maximum(p_values, smallest)
    order = np.argsort(p_values, kind="stable")
    clusters, p_values = clusters[order], p_values[order]
    return ClusterTest(
        conditions=(a, b),
        difference=first.to_numpy().mean(axis=0) - second.to_numpy().mean(axis=0),
        t_values=t_values,
        clusters=clusters,
        p_values=p_values,
        mask=clusters[p_values <= alpha].any(axis=0),
        paired=paired,
        n_subjects=n_subjects,
        ch_names=self.channel_names,
        alpha=alpha,
        threshold=threshold,
        n_permutations=min(n_possible, n_permutations) if paired else n_permutations,
        smallest_possible_p=smallest,
    )


def _t_values(*samples):
    """Compute the t of each channel, of one sample or of two; 0 where nothing differs."""
    test = mne.stats.ttest_1samp_no_p if len(samples) == 1 else mne.stats.ttest_ind_no_p
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(test(*samples)).clip(-_LARGEST_T, _LARGEST_T)


def _samples(explanation, a, b, by):
    """Return the tables of two conditions, of subjects that have both or one, and which it is."""
    if isinstance(by, str):
        check_one_of("by", by, ("class", "part"))
        known = explanation.classes.tolist() if by == "class" else explanation.parts
    else:
        known = np.unique(by).tolist()
    for name, condition in (("a", a), ("b", b)):
        check_one_of(name, condition, known)
    if a == b:
        raise ValueError(f"a and b are both {a!r}: choose two conditions to compare.")
    tables = subject_means(explanation, by=by)
    nobody = pd.DataFrame(columns=explanation.channel_names, dtype=float)
    first, second = tables.get(a, nobody), tables.get(b, nobody)
    both = first.index.intersection(second.index)
    if not len(both) and min(len(first), len(second)):
        if min(len(first), len(second)) < 2:
            raise ValueError(
                f"{len(first)} subjects have epochs of {a!r} and {len(second)} others of {b!r}; a "
                "test between groups needs at least 2 in each, and 4 to reach p = 0.05."
            )
        return first, second, False
    left_out = first.index.symmetric_difference(second.index)
    if len(left_out):
        warnings.warn(
            f"Subjects {', '.join(map(str, left_out))} have no epochs of {a!r} or of {b!r} and are "
            "left out.",
            stacklevel=3,
        )
    if len(both) < 2:
        raise ValueError(
            f"{len(both)} of {len(np.unique(explanation.subjects))} subjects have epochs of both "
            f"{a!r} and {b!r}; a test over subjects needs at least 2, and 6 to reach p = 0.05."
        )
    return first.loc[both], second.loc[both], True


def _refuse_unlike_models(explanation, a, b, by):
    """Refuse values that differ between the conditions without any difference in the data."""
    if isinstance(by, str) and by == "part":
        return
    method, labels = METHODS[explanation.method], explanation.labels()
    conditions = labels if isinstance(by, str) else np.asarray(by)
    if explanation.targets is not None and _mixed_unlike(explanation.targets, conditions, a, b):
        raise ValueError(
            f"Epochs of {a!r} and of {b!r} were explained for different classes, so that their "
            f"{explanation.method} differs whether the data do or not. Explain all of them for one "
            "class (AttentionExplainer(target=...)), or by 'rollout', which is the same for all."
        )
    n_models = explanation.settings.get("n_models", 1)
    if method.class_specific and n_models > 1 and _mixed_unlike(labels, conditions, a, b):
        raise ValueError(
            f"The {n_models} models that were explained have learnt to tell {a!r} from {b!r} with "
            "the labels of each other's test subjects, and differences that are chance become "
            f"significant in {explanation.method} far more often than alpha. Compare maps of "
            "'rollout', or those that a single model gives of people it was not trained on."
        )


def _mixed_unlike(values, conditions, a, b):
    """Tell whether values occur in two conditions in shares that differ by more than a tenth."""
    shares = pd.crosstab(conditions, values, normalize="index")
    return (shares.loc[a] - shares.loc[b]).abs().sum() / 2 > 0.1


def _cannot_find(n_subjects, smallest, alpha):
    return (
        f"With {n_subjects} subjects the smallest possible p is {smallest:.3g}, above "
        f"alpha={alpha:g}: this test cannot find a difference. It takes more subjects."
    )

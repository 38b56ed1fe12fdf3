"""Whether two conditions differ, over subjects and the scalp: cluster permutation."""

import warnings
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial import QhullError
from sklearn.utils import check_random_state

from skeegformer._validation import check_count, check_one_of
from skeegformer.explain.statistics import ROUNDING, channel_names, subject_means

# A channel's variance counts as at least this share of its mean square. That keeps t finite
# where all subjects differ by the same amount, and changes no effect of less than 100 standard
# deviations. Flipping signs does not change the mean square, so the test stays exact.
_VARIANCE_FLOOR = 1e-4


@dataclass(frozen=True, repr=False, eq=False)
class ClusterTest:
    """The result of `compare_conditions`.

    Parameters
    ----------
    conditions : tuple of two labels
        What was compared.
    difference : ndarray of shape (n_chans,)
        Mean over subjects of the first minus the second condition, in the unit of the
        values.
    t_values : ndarray of shape (n_chans,)
        Paired t statistic of each channel.
    clusters : ndarray of bool of shape (n_clusters, n_chans)
        The channels of each cluster, by rising p. Of threshold-free enhancement, each
        channel is one.
    p_values : ndarray of shape (n_clusters,)
        Of each cluster, corrected for the search over all channels.
    mask : ndarray of bool of shape (n_chans,)
        Channels of the clusters with p of at most alpha.
    adjacency : ndarray of bool of shape (n_chans, n_chans)
        Which channels are neighbours.
    n_subjects : int
        Subjects that have both conditions.
    ch_names : list of str
        The channels.
    alpha : float
        Level of the test.
    tail : {-1, 0, 1}
        Direction of the test.
    threshold : float or dict
        The t from which a channel belongs to a cluster, or start and step of threshold-free
        enhancement.
    n_permutations : int
        How many sign flips were compared, the data's own among them.
    exact : bool
        Whether these are all there are.

    See Also
    --------
    compare_conditions : Makes them, and says what such a test can claim.
    """

    conditions: tuple
    difference: np.ndarray
    t_values: np.ndarray
    clusters: np.ndarray
    p_values: np.ndarray
    mask: np.ndarray
    adjacency: np.ndarray
    n_subjects: int
    ch_names: list
    alpha: float
    tail: int
    threshold: Any
    n_permutations: int
    exact: bool

    @property
    def smallest_possible_p(self):
        """The p of data that no sign flip can outdo: float."""
        return 1 / self.n_permutations

    @property
    def summary(self):
        """What was found, in plain words: str."""
        first, second = self.conditions
        flips = f"{'all ' if self.exact else ''}{self.n_permutations} sign flips"
        lines = [
            f"{first} against {second}: cluster permutation test over {self.n_subjects} subjects "
            f"and {len(self.ch_names)} channels ({flips}, alpha = {self.alpha:g})."
        ]
        if self.mask.any():
            lines += [f"The conditions differ (p = {self.p_values[0]:.2g}).", *self._findings()]
            lines.append(
                "That they differ is what was tested; which channels make up a cluster depends on "
                "the threshold and is no finding about place or extent."
            )
            return "\n".join(lines)
        if len(self.p_values):
            lines.append(f"No difference was found (smallest p = {self.p_values[0]:.2g}).")
        else:
            lines.append("No difference was found: no channel's t reaches the threshold.")
        if self.smallest_possible_p > self.alpha:
            lines.append(_cannot_find(self.n_subjects, self.smallest_possible_p, self.alpha))
        lines.append("That is no evidence that the conditions are the same.")
        return "\n".join(lines)

    def _findings(self):
        """Say of each significant cluster which way it differs, and where."""
        first, second = self.conditions
        significant = self.p_values <= self.alpha
        clusters, p_values = self.clusters[significant], self.p_values[significant]
        if isinstance(self.threshold, dict):  # a channel each: one line for each direction
            signs = np.array([np.sign(self.t_values[cluster][0]) for cluster in clusters])
            groups = [signs == sign for sign in (1, -1) if (signs == sign).any()]
            p_values = [p_values[group].min() for group in groups]
            clusters = [clusters[group].any(axis=0) for group in groups]
        lines = []
        for cluster, p in zip(clusters, p_values, strict=True):
            higher = first if self.difference[cluster].mean() > 0 else second
            order = np.flatnonzero(cluster)
            order = order[np.argsort(-np.abs(self.t_values[order]))]
            names = ", ".join(self.ch_names[i] for i in order)
            lines.append(f"  higher for {higher} (p = {p:.2g}): {names}")
        return lines

    def __repr__(self):
        return self.summary


def compare_conditions(
    explanation,
    a,
    b,
    *,
    by="class",
    labels="auto",
    alpha=0.05,
    n_permutations=2048,
    threshold=None,
    tail=0,
    adjacency=None,
    random_state=None,
):
    """Test whether two conditions differ, over all channels at once.

    Cluster permutation test [1]_ on the differences within subjects: neighbouring channels
    whose paired t passes a threshold form a cluster, its mass is the sum of their t, and is
    compared with the largest mass that arises when the signs of whole subjects' differences
    are flipped. The rate of false alarms over all channels together is at most alpha.

    Parameters
    ----------
    explanation : Explanation
        With subjects and, unless `adjacency` is given, electrode positions.
    a, b : object
        Two classes, or two parts.
    by : {"class", "part"}, default="class"
        What `a` and `b` are.
    labels : {"auto", "true", "predicted"}, default="auto"
        Which label decides on an epoch's class; see `subject_means`.
    alpha : float, default=0.05
        Level of the test.
    n_permutations : int, default=2048
        Number of sign flips, the data's own among them. Where there are no more than this
        (up to 12 subjects for 2048), all are taken, and the test is exact.
    threshold : float, dict or None, default=None
        The absolute t from which a channel belongs to a cluster; None takes that of
        p = 0.05 for a single channel. ``{"start": 0, "step": 0.2}`` asks for threshold-free
        cluster enhancement [2]_, which needs no threshold and takes some 20 times as long.
    tail : {-1, 0, 1}, default=0
        1 looks for channels higher for `a`, -1 for those lower, 0 for both.
    adjacency : array-like or sparse of shape (n_chans, n_chans) or None, default=None
        Which channels are neighbours; None takes the montage's, by Delaunay triangulation
        of the electrodes (`mne.channels.find_ch_adjacency`).
    random_state : int, RandomState instance or None, default=None
        Decides on the sign flips, where not all are taken.

    Returns
    -------
    ClusterTest
        With clusters, their p values, and a summary in plain words.

    Raises
    ------
    ValueError
        If conditions are unknown or the same, subjects, labels or positions are not known,
        fewer than 2 subjects have both conditions, or a parameter is out of its range.

    Warns
    -----
    UserWarning
        If subjects lack a condition and are left out, or are too few for any p to reach
        alpha: with n of them, p is at least 2 ** -(n - 1), or 2 ** -n of one tail.

    Notes
    -----
    A significant cluster says that the conditions differ. It does not say that they differ
    at each of its channels, or nowhere else: no channel was tested by itself [3]_. Shares
    of attention add up to one, so that a rise in one place is a fall in others. The test
    takes each subject's difference to be symmetric about zero where there is no effect.

    References
    ----------
    .. [1] Maris and Oostenveld (2007), Nonparametric statistical testing of EEG- and
       MEG-data. J Neurosci Methods 164. doi:10.1016/j.jneumeth.2007.03.024
    .. [2] Smith and Nichols (2009), Threshold-free cluster enhancement. NeuroImage 44.
       doi:10.1016/j.neuroimage.2008.03.061
    .. [3] Sassenhagen and Draschkow (2019), Cluster-based permutation tests of MEG/EEG data
       do not establish significance of effect latency or location. Psychophysiology 56.
       doi:10.1111/psyp.13335

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer.explain import Explanation
    >>> from skeegformer.explain import compare_conditions
    >>> values = np.random.default_rng(0).normal(size=(20, 4, 1))
    >>> values[::2, :2] += 3  # the first two channels of every other epoch
    >>> explanation = Explanation(
    ...     token_values=values,
    ...     probabilities=np.tile([[0.9, 0.1], [0.1, 0.9]], (10, 1)),
    ...     classes=np.array(["left", "right"]),
    ...     y=np.array(["left", "right"] * 10),
    ...     ch_names=["C3", "C1", "C2", "C4"],
    ...     info=None,
    ...     method="integrated-gradients",
    ...     subjects=np.repeat(np.arange(10), 2),
    ... )
    >>> row = np.eye(4, k=1) + np.eye(4, k=-1)
    >>> test = compare_conditions(explanation, "left", "right", adjacency=row)
    >>> test.mask.tolist()
    [True, True, False, False]
    """
    check_one_of("by", by, ("class", "part"))
    check_one_of("tail", tail, (-1, 0, 1))
    if not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha!r} is not between 0 and 1; 0.05 is usual.")
    check_count("n_permutations", n_permutations, int(np.ceil(1 / alpha)))
    first, second = _paired(explanation, a, b, by, labels)
    n_subjects = len(first)
    threshold = _threshold(threshold, n_subjects, tail)
    adjacency = _adjacency(explanation, adjacency)
    n_possible = 2 ** (n_subjects - (tail == 0))
    exact = n_possible <= n_permutations
    if 1 / n_possible > alpha:
        warnings.warn(_cannot_find(n_subjects, 1 / n_possible, alpha), stacklevel=2)

    differences = (first - second).to_numpy(copy=True)
    scale = np.maximum(first.abs().max(), second.abs().max()).to_numpy()
    differences[np.abs(differences) <= ROUNDING * scale] = 0.0
    # MNE wants negative thresholds of a lower tail; turning the data round is the same test.
    turned = differences if tail >= 0 else -differences
    clusters, p_values = _find_clusters(
        turned, adjacency, threshold, n_permutations, abs(tail), random_state
    )
    return ClusterTest(
        conditions=(a, b),
        difference=differences.mean(axis=0),
        t_values=_t_values(differences),
        clusters=clusters,
        p_values=p_values,
        mask=clusters[p_values <= alpha].any(axis=0),
        adjacency=adjacency,
        n_subjects=n_subjects,
        ch_names=channel_names(explanation),
        alpha=alpha,
        tail=tail,
        threshold=threshold,
        n_permutations=min(n_possible, n_permutations),
        exact=exact,
    )


def _paired(explanation, a, b, by, labels):
    """Return the tables of two conditions, of the subjects that have both."""
    known = explanation.classes.tolist() if by == "class" else explanation.parts
    for name, condition in (("a", a), ("b", b)):
        check_one_of(name, condition, known)
    if a == b:
        raise ValueError(f"a and b are both {a!r}: choose two conditions to compare.")
    tables = subject_means(explanation, by=by, labels=labels)
    nobody = pd.DataFrame(columns=channel_names(explanation), dtype=float)
    first, second = tables.get(a, nobody), tables.get(b, nobody)
    both = first.index.intersection(second.index)
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
    return first.loc[both], second.loc[both]


def _threshold(threshold, n_subjects, tail):
    if threshold is None:
        return float(stats.t.isf(0.05 / (2 if tail == 0 else 1), n_subjects - 1))
    if isinstance(threshold, dict):
        if set(threshold) == {"start", "step"} and threshold["start"] >= 0 < threshold["step"]:
            return dict(threshold)
    elif isinstance(threshold, Real) and 0 < threshold < np.inf:
        return float(threshold)
    raise ValueError(
        f"threshold={threshold!r} is not an absolute t above 0, a dict such as "
        "{'start': 0, 'step': 0.2}, or None."
    )


def _adjacency(explanation, adjacency):
    n_chans = explanation.token_values.shape[1]
    if adjacency is not None:
        adjacency = getattr(adjacency, "toarray", lambda: np.asarray(adjacency))().astype(bool)
        if adjacency.shape != (n_chans, n_chans) or (adjacency != adjacency.T).any():
            raise ValueError(
                f"adjacency has shape {adjacency.shape}, but has to be symmetric and of shape "
                f"({n_chans}, {n_chans}): a row and a column for each channel."
            )
        return adjacency
    if explanation.positions is None:
        raise ValueError(
            "Clusters of channels need electrode positions: explain with Epochs that have a "
            "montage (epochs.set_montage), give explain an info=, or pass adjacency."
        )
    import mne

    try:
        with mne.utils.use_log_level("ERROR"):
            found, _ = mne.channels.find_ch_adjacency(explanation.info, "eeg")
    except QhullError as error:
        raise ValueError(
            f"The neighbours of {n_chans} channels cannot be found by triangulation, which needs "
            "at least 3 that are not in a line: pass adjacency."
        ) from error
    return found.toarray().astype(bool)


def _t_values(differences):
    """Compute the paired t of each channel, 0 where there is no difference at all."""
    mean_square = (differences**2).mean(axis=0)
    variance = differences.var(axis=0, ddof=1)
    variance = np.maximum(variance, _VARIANCE_FLOOR * mean_square)
    variance[mean_square == 0] = 1.0
    return differences.mean(axis=0) / np.sqrt(variance / len(differences))


def _find_clusters(differences, adjacency, threshold, n_permutations, tail, random_state):
    import mne
    from scipy.sparse import coo_array

    with warnings.catch_warnings(), mne.utils.use_log_level("ERROR"):
        warnings.filterwarnings("ignore", message="No clusters found")
        _, clusters, p_values, _ = mne.stats.permutation_cluster_1samp_test(
            differences,
            threshold=threshold,
            n_permutations=n_permutations,
            tail=tail,
            stat_fun=_t_values,
            adjacency=coo_array(adjacency),
            out_type="mask",
            buffer_size=None,
            seed=check_random_state(random_state),
        )
    clusters = np.reshape(clusters, (-1, differences.shape[1])).astype(bool)
    order = np.argsort(p_values, kind="stable")
    return clusters[order], np.asarray(p_values)[order]


def _cannot_find(n_subjects, smallest, alpha):
    return (
        f"With {n_subjects} subjects the smallest possible p is {smallest:.3g}, above "
        f"alpha={alpha:g}: this test cannot find a difference. It takes more subjects."
    )

"""Whether two conditions differ, over subjects and the scalp: cluster permutation."""

import warnings
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import comb

from skeegformer._validation import check_count, check_one_of
from skeegformer.explain._cluster_permutation import (
    check_adjacency,
    check_threshold,
    find_clusters,
    independent_t,
    paired_t,
)
from skeegformer.explain._electrodes import adjacency_of
from skeegformer.explain.statistics import ROUNDING, channel_names, subject_means


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
        t statistic of each channel, paired or of independent samples.
    clusters : ndarray of bool of shape (n_clusters, n_chans)
        The channels of each cluster, by rising p. Of threshold-free enhancement, each
        channel is one.
    p_values : ndarray of shape (n_clusters,)
        Of each cluster, corrected for the search over all channels.
    mask : ndarray of bool of shape (n_chans,)
        Channels of the clusters with p of at most alpha.
    adjacency : ndarray of bool of shape (n_chans, n_chans)
        Which channels are neighbours.
    paired : bool
        Whether the same subjects have both conditions, or others each.
    n_subjects : int
        Subjects that have both conditions, or one of them.
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
        How many sign flips, or divisions into two groups, were compared, the data's own among
        them.
    exact : bool
        Whether these are all there are.
    smallest_possible_p : float
        The p of data that no permutation can outdo.

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
    paired: bool
    n_subjects: int
    ch_names: list
    alpha: float
    tail: int
    threshold: Any
    n_permutations: int
    exact: bool
    smallest_possible_p: float

    @property
    def summary(self):
        """What was found, in plain words: str."""
        first, second = self.conditions
        kind = "sign flips" if self.paired else "divisions into groups"
        design = (
            "who have both, paired" if self.paired else "each in one group, independent samples"
        )
        many = f"{'all ' if self.exact else ''}{self.n_permutations} {kind}"
        lines = [
            f"{first} against {second}: cluster permutation test over {self.n_subjects} subjects "
            f"({design}) and {len(self.ch_names)} channels ({many}, alpha = {self.alpha:g})."
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
    paired=None,
    alpha=0.05,
    n_permutations=2048,
    threshold=None,
    tail=0,
    adjacency=None,
    random_state=None,
):
    """Test whether two conditions differ, over all channels at once.

    Cluster permutation test [1]_ over subjects: neighbouring channels whose t passes a threshold
    form a cluster, its mass is the sum of their t, and is compared with the largest mass that
    arises by permutation. Where the same subjects have both conditions, t is paired, and the signs
    of whole subjects' differences are flipped; of two groups of subjects, t is that of independent
    samples, and subjects are divided anew. The rate of false alarms over all channels together is
    at most alpha.

    Parameters
    ----------
    explanation : Explanation
        With subjects and, unless `adjacency` is given, electrode positions.
    a, b : object
        Two classes, two parts, or two of the labels.
    by : {"class", "part"} or array-like of shape (n_epochs,), default="class"
        What `a` and `b` are; an array has a label for each epoch, such as the group of its subject.
    labels : {"auto", "true", "predicted"}, default="auto"
        Which label decides on an epoch's class; see `subject_means`.
    paired : bool or None, default=None
        Whether subjects are compared with themselves, or one group of subjects with another. None
        pairs, unless nobody has both conditions; the summary says what was done.
    alpha : float, default=0.05
        Level of the test.
    n_permutations : int, default=2048
        Number of permutations, the data's own among them. Of pairs, all sign flips are taken where
        there are no more than this (up to 12 subjects for 2048), and the test is exact.
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
        Decides on the permutations, where not all are taken.

    Returns
    -------
    ClusterTest
        With clusters, their p values, and a summary in plain words.

    Raises
    ------
    ValueError
        If conditions are unknown or the same, subjects, labels or positions are not known,
        there are fewer than 2 subjects (in each group), somebody is in both groups, or a parameter
        is out of its range.

    Warns
    -----
    UserWarning
        If subjects lack a condition and are left out of pairs, or are too few for any p to reach
        alpha: with n of them, p is at least 2 ** -(n - 1), or 2 ** -n of one tail.

    Notes
    -----
    A significant cluster says that the conditions differ. It does not say that they differ
    at each of its channels, or nowhere else: no channel was tested by itself [3]_. Shares
    of attention add up to one, so that a rise in one place is a fall in others. The paired test
    takes each subject's difference to be symmetric about zero where there is no effect, and the
    other one takes both groups to be distributed alike.

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
    check_one_of("tail", tail, (-1, 0, 1))
    if not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha!r} is not between 0 and 1; 0.05 is usual.")
    check_count("n_permutations", n_permutations, int(np.ceil(1 / alpha)))
    first, second, paired = _samples(explanation, a, b, by, labels, paired)
    sizes = len(first), len(second)
    n_subjects = sizes[0] if paired else sum(sizes)
    threshold = check_threshold(threshold, n_subjects - (1 if paired else 2), tail)
    if adjacency is None:
        adjacency = adjacency_of(explanation.info, "A test of clusters")
    adjacency = check_adjacency(adjacency, first.shape[1])
    if paired:
        n_possible = 2 ** (n_subjects - (tail == 0))
    else:  # exchanging groups of equal size turns the sign alone
        n_possible = comb(n_subjects, sizes[0], exact=True)
        n_possible //= 2 if tail == 0 and sizes[0] == sizes[1] else 1
    if 1 / n_possible > alpha:
        warnings.warn(_cannot_find(n_subjects, 1 / n_possible, alpha), stacklevel=2)

    x, z = first.to_numpy(copy=True), second.to_numpy(copy=True)
    scale = ROUNDING * np.maximum(np.abs(x).max(axis=0), np.abs(z).max(axis=0))
    if paired:
        x -= z
        x[np.abs(x) <= scale] = 0.0
        samples, statistic = [x], paired_t
    else:
        x, z = (np.where(np.abs(one - x[0]) <= scale, x[0], one) for one in (x, z))
        samples, statistic = [x, z], independent_t
    # MNE wants negative thresholds of a lower tail; turning the data round is the same test.
    turned = samples if tail >= 0 else [-one for one in samples]
    clusters, p_values = find_clusters(
        turned, statistic, adjacency, threshold, n_permutations, abs(tail), random_state
    )
    exact = paired and n_possible <= n_permutations
    return ClusterTest(
        conditions=(a, b),
        difference=first.to_numpy().mean(axis=0) - second.to_numpy().mean(axis=0),
        t_values=statistic(*samples),
        clusters=clusters,
        p_values=p_values,
        mask=clusters[p_values <= alpha].any(axis=0),
        adjacency=adjacency,
        paired=paired,
        n_subjects=n_subjects,
        ch_names=channel_names(explanation),
        alpha=alpha,
        tail=tail,
        threshold=threshold,
        n_permutations=min(n_possible, n_permutations) if paired else n_permutations,
        exact=exact,
        smallest_possible_p=1 / min(n_possible, n_permutations),
    )


def _samples(explanation, a, b, by, labels, paired):
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
    tables = subject_means(explanation, by=by, labels=labels)
    nobody = pd.DataFrame(columns=channel_names(explanation), dtype=float)
    first, second = tables.get(a, nobody), tables.get(b, nobody)
    both = first.index.intersection(second.index)
    if paired is None:
        paired = len(both) > 0 or min(len(first), len(second)) == 0
    if not paired:
        if len(both):
            raise ValueError(
                f"Subjects {', '.join(map(str, both))} have epochs of both {a!r} and {b!r}, and "
                "are no independent samples: compare with paired=True."
            )
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


def _cannot_find(n_subjects, smallest, alpha):
    return (
        f"With {n_subjects} subjects the smallest possible p is {smallest:.3g}, above "
        f"alpha={alpha:g}: this test cannot find a difference. It takes more subjects."
    )

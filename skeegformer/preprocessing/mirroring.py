"""Left and right exchanged: of channels, of class names, and as twice the training epochs."""

import re

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skeegformer._routing import routed_groups
from skeegformer._validation import (
    as_epochs,
    validate_ch_names,
    validate_groups,
    validate_labels,
    validate_signal,
)
from skeegformer.preprocessing._base import SignalTransformer, like_input, with_data, working_copy

# Region, number or z, and the h of half-way electrodes in the 10-05 system; a, m and cb are ears,
# mastoids and, where there are electrodes, cerebellum. Others name electrodes likewise, but not by
# sides: E1 to E256, A1 to D32.
_TEN_FIVE = re.compile(
    "(nfp|fp|afp|aff?|f|ff[tc]|fcc?|ftt?|c|ccp|cpp?|t|ttp|tpp?|p|ppo|poo?|oi?|i|a|m|cb)"
    "([1-9]|1[0-2]|z)(h?)",
    re.IGNORECASE,
)
_REACH = 0.02  # how far in metres an electrode may be from the mirror image of its partner
_SIDE = re.compile("left|right", re.IGNORECASE)
_OTHER_SIDE = {"left": "right", "right": "left"}
# A side that stands as a word of its own: left-fist, left_hand, LeftHand, but not cleft or bright.
_SIDE_AS_WORD = re.compile(
    r"(?<![A-Za-z])(left|right|LEFT|RIGHT)(?![A-Za-z])|(?<![A-Z])(Left|Right)(?![a-z])"
)


def mirror_pairs(channels):
    """Find the partner of each channel on the other side of the head.

    Electrodes of the 10-20, 10-10 and 10-05 systems have odd numbers on the left, even ones on
    the right, and z between: C3 and C4, FC5 and FC6, T9 and T10 are partners, Cz stays where it
    is. The old names T3, T4, T5 and T6 follow the same rule. Where names of some channels do not
    tell, as those of EGI and BioSemi do not, the positions of an Info do for all.

    Parameters
    ----------
    channels : sequence of str or mne.Info
        Channel names, or an Info with electrode positions that are used if names do not tell.

    Returns
    -------
    dict of str to str
        The partner of each channel, in the order of `channels`.

    Raises
    ------
    ValueError
        If a channel has no partner, neither by name nor, where they are known, by position.

    Examples
    --------
    >>> from skeegformer.preprocessing import mirror_pairs
    >>> mirror_pairs(["C3", "Cz", "C4"])
    {'C3': 'C4', 'Cz': 'Cz', 'C4': 'C3'}
    """
    info = channels if hasattr(channels, "ch_names") else None
    names = validate_ch_names(channels if info is None else info["ch_names"], "channels")
    by_lower = {name.lower(): name for name in names}
    pairs = {name: by_lower.get(_other_name(name.lower())) for name in names}
    alone = [name for name, partner in pairs.items() if partner is None]
    if not alone:
        return pairs
    positions = None if info is None else np.array([ch["loc"][:3] for ch in info["chs"]])
    # MNE writes NaN, or in old files zeros, where a position is not known.
    if positions is None or not (np.isfinite(positions).all() and positions.any(axis=1).all()):
        raise ValueError(
            f"{', '.join(alone)} {'has' if len(alone) == 1 else 'have'} no partner on the other "
            "side by name (C3 and C4 are partners, Cz stays), and positions are not known: drop "
            "what has no partner, rename channels, or pass Epochs with a montage."
        )
    return _pairs_by_position(names, positions)


def mirror_classes(classes):
    """Find the classes that turn into each other when left and right are exchanged.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        Labels; those that are no text name no side.

    Returns
    -------
    dict or None
        For ``"left-fist"`` its partner ``"right-fist"`` and the other way round; classes that
        keep their label are not in it. None if no class names a side.

    Raises
    ------
    ValueError
        If a class names a side, but the class of the other side is not there: a mirrored epoch
        of it has no label.

    Examples
    --------
    >>> from skeegformer.preprocessing import mirror_classes
    >>> mirror_classes(["feet", "left-fist", "right-fist"])
    {'left-fist': 'right-fist', 'right-fist': 'left-fist'}
    >>> mirror_classes(["eyes-closed", "eyes-open"]) is None
    True
    """
    names = [name for name in np.asarray(classes).tolist() if isinstance(name, str)]
    exchanged = {name: _SIDE.sub(_exchange, name) for name in names}
    partners = {a: b for a, b in exchanged.items() if a != b and b in exchanged}
    alone = [a for a in names if a not in partners and _SIDE_AS_WORD.search(a)]
    if alone:
        raise ValueError(
            f"The mirror image of class {alone[0]!r} is {exchanged[alone[0]]!r}, which is not "
            f"among the classes {', '.join(map(repr, names))}; name the pairs yourself in swap, "
            "such as swap={'left': 'right'}, or do not mirror."
        )
    return partners or None


class LeftRightMirror(SignalTransformer):
    """Exchange the signals of the left and the right side of the head.

    Each channel gets the signal of its partner (`mirror_pairs`); their names stay in place.

    Parameters
    ----------
    input_ch_names : sequence of str or None, default=None
        Names of the channels of arrays, in order. Epochs know theirs; names given here have to
        be the same.

    Attributes
    ----------
    order_ : ndarray of int of shape (n_chans,)
        Which channel's signal each channel gets.
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None where they are not known.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    MirroredClassifier : Trains on epochs and their mirror images.

    Notes
    -----
    Mirroring changes places with `EuclideanAlignment`: to align mirrored epochs gives the mirror
    images of aligned ones. An array of a single channel without a name stays as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer.preprocessing import LeftRightMirror
    >>> X = np.array([[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]])
    >>> LeftRightMirror(input_ch_names=["C3", "Cz", "C4"]).fit_transform(X)
    array([[[3., 3.],
            [2., 2.],
            [1., 1.]]])
    """

    def __init__(self, *, input_ch_names=None):
        self.input_ch_names = input_ch_names

    def _open(self, X, *, reset):
        return validate_signal(self, X, reset=reset, ch_names=self.input_ch_names)

    def _prepare(self, eeg):
        self.order_ = _mirror_order(self, eeg)

    def _transform_data(self, data, eeg):
        return data[:, self.order_]


class MirroredClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Train a classifier on epochs and their mirror images, and let it vote on both.

    The mirror image of an epoch has left and right channels exchanged; that of an imagined left
    fist looks like an imagined right one. The classifier trains on all epochs and their mirror
    images, whose labels are exchanged where classes name sides. Of an epoch to predict, the
    probabilities of the epoch and of its mirror image, with the classes changed back, are
    averaged.

    Parameters
    ----------
    classifier : estimator
        What is trained; it needs `predict_proba`. Never changed: a clone is fitted.
    swap : "auto", dict or None, default="auto"
        Which labels mirroring exchanges. "auto" finds the classes that turn into each other when
        the words left and right are exchanged (`mirror_classes`); others keep their label. A
        dict names the pairs, each in one direction or both. None: all labels stay.
    input_ch_names : sequence of str or None, default=None
        Names of the channels of arrays, in order. Epochs know theirs; names given here have to
        be the same.

    Attributes
    ----------
    classifier_ : estimator
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    swap_ : dict
        The labels that are exchanged, in both directions.
    order_ : ndarray of int of shape (n_chans,)
        Which channel's signal each channel gets in a mirror image.
    n_chans_ : int
        Number of EEG channels in `fit`.
    ch_names_ : list of str or None
        Their names; None where they are not known.
    n_features_in_ : int
        Number of channels; of samples where X was 2-D.
    feature_names_in_ : ndarray of str
        Channel names, or the column names of a DataFrame; only where there are any.

    See Also
    --------
    LeftRightMirror : The mirror image alone.

    Notes
    -----
    In a Pipeline it stands after the alignment and takes the place of the classifier. A mirror
    image belongs to the subject of its epoch: `groups` passed to `fit` are doubled and reach the
    classifier where it takes them, and the metadata of Epochs are copied.

    Brains and tasks are not symmetric to the last detail, but across subjects the gain by twice
    as many epochs outweighs that for motor imagery.

    Examples
    --------
    >>> from skeegformer import make_baseline, make_simulated_eeg
    >>> from skeegformer.preprocessing import MirroredClassifier
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = MirroredClassifier(make_baseline("csp+lda")).fit(X, y)
    >>> classifier.predict_proba(X[:3]).shape
    (3, 2)
    """

    def __init__(self, classifier, *, swap="auto", input_ch_names=None):
        self.classifier = classifier
        self.swap = swap
        self.input_ch_names = input_ch_names

    def fit(self, X, y, groups=None):
        """Fit the classifier on epochs and their mirror images.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs, or an array of shape (n_epochs, n_chans, n_times) or
            (n_epochs, n_times).
        y : array-like of shape (n_epochs,)
            Labels.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects, for classifiers that take them.

        Returns
        -------
        MirroredClassifier
            Itself.

        Raises
        ------
        ValueError
            If a channel has no partner, the names of channels are not known, all are on the
            midline but labels are exchanged, `swap` does not fit the classes, X is empty or not
            finite, or the classifier has no `predict_proba`.
        """
        if isinstance(self.classifier, type) or not hasattr(self.classifier, "predict_proba"):
            raise ValueError(
                f"classifier={self.classifier!r} has no predict_proba, whose values for an epoch "
                "and its mirror image are averaged; pass a classifier that has."
            )
        vars(self).pop("classifier_", None)  # a fit that fails is no fit
        eeg = self._open(X, reset=True)
        codes = validate_labels(self, y, len(eeg.data))
        groups = validate_groups(groups, len(eeg.data))
        self.order_ = _mirror_order(self, eeg)
        self.swap_ = _check_swap(self.swap, self.classes_)
        if self.swap_ and is_own_image(self.order_):
            names = "a single one" if eeg.ch_names is None else ", ".join(eeg.ch_names)
            raise ValueError(
                f"All channels are on the midline ({names}), so that every epoch is its own "
                "mirror image, and would be trained with both labels; pass channels of both "
                f"sides, or {type(self.classifier).__name__} without mirroring."
            )
        self._mirrored_codes = partner_order(self.swap_, self.classes_.tolist())

        labels = self.classes_[np.concatenate([codes, self._mirrored_codes[codes]])]
        if groups is not None:
            groups = np.concatenate([groups, groups])
        as_given, mirrored = self._both_sides(eeg)
        if eeg.epochs is not None:
            both = as_epochs([as_given, mirrored])
        else:
            both = np.concatenate([as_given, mirrored])
        self.classifier_ = clone(self.classifier)
        self.classifier_.fit(both, labels, **_accepted_groups(self.classifier_, groups))
        return self

    def predict_proba(self, X):
        """Average the probabilities of epochs and of their mirror images.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`.

        Returns
        -------
        ndarray of shape (n_epochs, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        check_is_fitted(self, "classifier_")
        as_given, mirrored = map(
            self.classifier_.predict_proba, self._both_sides(self._open(X, reset=False))
        )
        return (as_given + mirrored[:, self._mirrored_codes]) / 2

    def predict(self, X):
        """Predict the class of each epoch.

        Parameters
        ----------
        X : mne.Epochs, list of mne.Epochs or array-like
            Epochs with the channels of `fit`.

        Returns
        -------
        ndarray of shape (n_epochs,)
            Members of ``classes_``.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _open(self, X, *, reset):
        return validate_signal(self, X, reset=reset, ch_names=self.input_ch_names)

    def _both_sides(self, eeg):
        """Give the epochs as they came in and their mirror images."""
        data = working_copy(eeg)
        if eeg.epochs is not None:
            return eeg.epochs, with_data(eeg, data[:, self.order_])
        return like_input(eeg, data), like_input(eeg, data[:, self.order_])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def both_directions(name, swap):
    """Complete a dict of the labels that mirroring exchanges.

    Parameters
    ----------
    name : str
        What the parameter is called.
    swap : dict
        Label to label, each pair in one direction or both.

    Returns
    -------
    dict
        Each pair in both directions.

    Raises
    ------
    ValueError
        If a label has two partners.
    """
    both = {b: a for a, b in swap.items()} | swap
    if any(both[b] != a for a, b in both.items()):
        raise ValueError(f"{name}={swap!r} gives a class two partners; name one for each.")
    return both


def partner_order(pairs, names):
    """Index the partner of each name.

    Parameters
    ----------
    pairs : dict
        Name to its partner; those that are missing are their own.
    names : list
        All names, in order.

    Returns
    -------
    ndarray of int of shape (n_names,)
        Where in `names` each one's partner is.
    """
    return np.array([names.index(pairs.get(name, name)) for name in names])


def is_own_image(order):
    """Tell whether mirroring changes nothing.

    Parameters
    ----------
    order : ndarray of int of shape (n_chans,)
        Where each channel's partner is.

    Returns
    -------
    bool
        Whether each channel is its own partner.
    """
    return bool((order == np.arange(len(order))).all())


def _other_name(name):
    """Name the electrode on the other side, in lower case; None where the name does not tell."""
    match = _TEN_FIVE.fullmatch(name)
    if match is None:
        return None
    region, number, half = match.groups()
    if number != "z":
        number = int(number) + 1 if int(number) % 2 else int(number) - 1
    return f"{region}{number}{half}"


def _pairs_by_position(names, positions):
    """Pair electrodes with those nearest to their mirror images."""
    images = positions * [-1, 1, 1]
    distances = np.linalg.norm(images[:, np.newaxis] - positions, axis=-1)
    nearest = distances.argmin(axis=1)
    every = np.arange(len(names))
    found = (distances[every, nearest] <= _REACH) & (nearest[nearest] == every)
    if not found.all():
        alone = [name for name, is_found in zip(names, found, strict=True) if not is_found]
        raise ValueError(
            f"{', '.join(alone)} {'has' if len(alone) == 1 else 'have'} no partner on the other "
            f"side: neither by name, nor an electrode within {100 * _REACH:g} cm of the mirror "
            "image of the position; drop these channels."
        )
    return {name: names[other] for name, other in zip(names, nearest, strict=True)}


def _mirror_order(estimator, eeg):
    """Index the channel whose signal each channel gets."""
    if eeg.ch_names is None:
        if eeg.data.shape[1] == 1:  # there is nothing to exchange
            return np.zeros(1, dtype=int)
        raise ValueError(
            f"An array does not tell its channels' names: give {type(estimator).__name__} "
            "input_ch_names, the name of each channel of X in order, or pass Epochs."
        )
    pairs = mirror_pairs(eeg.ch_names if eeg.info is None else eeg.info)
    return partner_order(pairs, eeg.ch_names)


def _exchange(match):
    """Write the other side in the same mixture of capitals."""
    found = match.group()
    other = _OTHER_SIDE[found.lower()]
    if found.isupper():
        return other.upper()
    return other.capitalize() if found[0].isupper() else other


def _check_swap(swap, classes):
    """Make a dict of the labels that mirroring exchanges, in both directions."""
    if swap is None:
        return {}
    if isinstance(swap, str) and swap == "auto":
        return mirror_classes(classes) or {}
    if not isinstance(swap, dict):
        raise ValueError(
            f"swap={swap!r} is not 'auto', None, or a dict such as {{'left': 'right'}}."
        )
    known = classes.tolist()
    for a, b in swap.items():
        for label in (a, b):
            if label not in known:
                raise ValueError(
                    f"swap={swap!r} names {label!r}, which is not among the classes "
                    f"{', '.join(map(repr, known))}."
                )
    return both_directions("swap", swap)


def _accepted_groups(classifier, groups):
    """Give groups to a classifier that takes them, by itself or by metadata routing."""
    if groups is not None and has_fit_parameter(classifier, "groups"):
        return {"groups": groups}
    return routed_groups(classifier, "fit", groups)

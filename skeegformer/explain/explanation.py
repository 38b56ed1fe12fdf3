"""The result of an explainer: a value for every epoch and channel, and what belongs to it."""

from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from skeegformer._validation import check_one_of, choose, validate_groups
from skeegformer.explain._figures import plot_connections, plot_patterns, plot_topomap
from skeegformer.explain._files import load, save, to_dataframe
from skeegformer.explain._report import to_report
from skeegformer.explain._statistics import confidence_intervals, subject_means
from skeegformer.explain.clusters import compare
from skeegformer.explain.faithfulness import evaluate
from skeegformer.explain.methods import METHODS
from skeegformer.explain.patterns import patterns

# What settings have to share, where they are known, for values to mean the same.
_MEANING = ("target", "replacement", "neighbors", "head_fusion", "convention")
# What has one entry for every epoch, and so is indexed together.
PER_EPOCH = ("token_values", "probabilities", "y", "targets", "subjects", "connections")


@dataclass(frozen=True)
class Source:
    """Copies of classifier and explainer, epochs as the network gets them, and their centring."""

    classifier: Any
    explainer: Any
    data: np.ndarray
    means: np.ndarray | None = None
    tmin: float = 0.0

    def select(self, epochs):
        """Keep some epochs, by their indices."""
        means = None if self.means is None else self.means[epochs]
        return replace(self, data=self.data[epochs], means=means)


@dataclass(frozen=True, repr=False, eq=False)
class Explanation:
    """Attributions of a classifier's predictions to channels, for each epoch.

    Returned by `AttentionExplainer.explain`.

    Parameters
    ----------
    token_values : ndarray of shape (n_epochs, n_chans, n_parts)
        A value for every part of every channel; parts are temporal tokens or frequency bands.
    probabilities : ndarray of shape (n_epochs, n_classes)
        Predicted probabilities of these epochs.
    classes : ndarray of shape (n_classes,)
        The labels.
    y : ndarray of shape (n_epochs,) or None
        True labels, if given.
    ch_names : list of str or None
        Channel names, if known.
    info : mne.Info or None
        Measurement info with the electrode positions, if known.
    method : str
        Explanation method; a key of `skeegformer.explain.METHODS`.
    parts : tuple of str, default=("epoch",)
        Names of the parts.
    part_kind : {"time", "band"}, default="time"
        Kind of the parts.
    targets : ndarray of shape (n_epochs,) or None, default=None
        The class that was explained, for class-specific methods.
    subjects : ndarray of shape (n_epochs,) or None, default=None
        The subject of each epoch, if known.
    connections : ndarray of shape (n_epochs, n_chans, n_chans) or None, default=None
        What each channel (row) takes from each channel (column), if requested.
    settings : dict, default={}
        The explainer's parameters, and diagnostics of the computation.
    source : Source or None, default=None
        The model and the epochs; not saved.

    Examples
    --------
    >>> import numpy as np
    >>> from skeegformer.explain import Explanation
    >>> explanation = Explanation(
    ...     token_values=np.array([[[0.75], [0.25]]]),
    ...     probabilities=np.array([[0.9, 0.1]]),
    ...     classes=np.array(["left", "right"]),
    ...     y=np.array(["left"]),
    ...     ch_names=["C3", "C4"],
    ...     info=None,
    ...     method="rollout",
    ... )
    >>> explanation
    <Explanation | rollout, 1 epoch, 2 channels x 1 temporal token, most on C3, C4>
    >>> explanation.to_dataframe()[["label", "prediction", "channel", "value"]]
      label prediction channel  value
    0  left       left      C3   0.75
    1  left       left      C4   0.25
    """

    token_values: np.ndarray
    probabilities: np.ndarray
    classes: np.ndarray
    y: np.ndarray | None
    ch_names: list[str] | None
    info: Any
    method: str
    parts: tuple = ("epoch",)
    part_kind: str = "time"
    targets: np.ndarray | None = None
    subjects: np.ndarray | None = None
    connections: np.ndarray | None = None
    settings: dict = field(default_factory=dict)
    source: Source | None = None

    evaluate = evaluate
    subject_means = subject_means
    confidence_intervals = confidence_intervals
    compare = compare
    patterns = patterns
    plot_topomap = plot_topomap
    plot_connections = plot_connections
    plot_patterns = plot_patterns
    to_dataframe = to_dataframe
    to_report = to_report
    save = save
    load = classmethod(load)

    def __post_init__(self):
        shape = np.shape(self.token_values)
        given = {name: getattr(self, name) for name in PER_EPOCH}
        fits = {
            **{name: np.shape(v)[:1] == shape[:1] for name, v in given.items() if v is not None},
            "token_values": len(shape) == 3 and shape[2] == len(self.parts),
            "ch_names": self.ch_names is None or (len(self.ch_names),) == shape[1:2],
            "classes": np.shape(self.classes) == np.shape(self.probabilities)[1:],
        }
        for name, fit in fits.items():
            if not fit:
                raise ValueError(
                    f"{name} of the explanation does not fit the rest: values have the shape "
                    "(n_epochs, n_chans, n_parts), and probabilities (n_epochs, n_classes)."
                )
        check_one_of("method", self.method, tuple(METHODS))
        check_one_of("part_kind", self.part_kind, ("time", "band"))

    def __len__(self):
        return len(self.token_values)

    @property
    def values(self):
        """Value of each channel, summed over its parts: (n_epochs, n_chans)."""
        return self.token_values.sum(axis=-1)

    @property
    def predictions(self):
        """Predicted labels: (n_epochs,)."""
        return self.classes[self.probabilities.argmax(axis=1)]

    @property
    def confidences(self):
        """Probability of the predicted label: (n_epochs,)."""
        return self.probabilities.max(axis=1)

    @property
    def channel_names(self):
        """Names of the channels, or their numbers if names are unknown: list of str."""
        if self.ch_names is None:
            return [f"channel {i}" for i in range(self.token_values.shape[1])]
        return [str(name) for name in self.ch_names]

    @property
    def positions(self):
        """Electrode positions in metres, in MNE's head coordinates: (n_chans, 3), or None."""
        if self.info is None:
            return None
        positions = np.array([channel["loc"][:3] for channel in self.info["chs"]])
        return positions if np.isfinite(positions).all() and positions.any() else None

    @property
    def unit(self):
        """Unit of the values: shares of 1, which figures show in percent, or log odds."""
        return METHODS[self.method].unit

    @property
    def feature_importances_(self):
        """The mean absolute value over epochs, as shares of 1: (n_chans,).

        Signed values do not cancel: evidence for a class in one epoch and against it in
        another counts in both. `class_means` keep the signs.
        """
        importances = np.abs(self.values).mean(axis=0)
        total = importances.sum()
        return importances / total if total > 0 else importances

    def class_means(self):
        """Average the values over the epochs of each class (true labels if known, else predicted).

        Returns
        -------
        dict
            For each class that occurs, an ndarray of shape (n_chans,).
        """
        y = self.labels()
        known = self.classes.tolist()
        return {label: self.values[y == label].mean(axis=0) for label in known if label in y}

    def part_means(self):
        """Average the values over epochs, for each part.

        Returns
        -------
        dict of str to ndarray of shape (n_chans,)
            For each temporal token or band.
        """
        means = self.token_values.mean(axis=0)
        return {part: means[:, k] for k, part in enumerate(self.parts)}

    def labels(self):
        """Return true labels if known, else predicted labels.

        Returns
        -------
        ndarray of shape (n_epochs,)
            A label for each epoch.
        """
        return self.predictions if self.y is None else self.y

    def select(self, epochs=None, *, label=None, subject=None, correct=None, min_confidence=0.0):
        """Select epochs.

        Parameters
        ----------
        epochs : array-like or None, default=None
            Indices, a slice or a mask; epochs are returned in the order of indices.
        label : object or None, default=None
            Keep epochs of this class (true labels if known, else predicted).
        subject : object or None, default=None
            Keep epochs of this subject.
        correct : bool or None, default=None
            Keep epochs predicted correctly (True) or incorrectly (False).
        min_confidence : float, default=0.0
            Keep epochs whose prediction has at least this probability.

        Returns
        -------
        Explanation
            The explanation of the epochs that meet all conditions.

        Raises
        ------
        ValueError
            If no epoch is left, or labels or subjects are needed and unknown.
        IndexError
            If `epochs` contains an index that is out of range.
        """
        epochs = slice(None) if epochs is None else epochs
        rows = choose(len(self), [epochs] if isinstance(epochs, Integral) else epochs)
        keep = np.ones(len(self), dtype=bool)
        if label is not None:
            check_one_of("label", label, self.classes.tolist())
            keep &= self.labels() == label
        if subject is not None:
            if self.subjects is None:
                raise ValueError("The subjects are not known: pass groups to explain.")
            check_one_of("subject", subject, np.unique(self.subjects).tolist())
            keep &= self.subjects == subject
        if correct is not None:
            if self.y is None:
                raise ValueError("The true labels are not known: pass y to explain.")
            keep &= (self.predictions == self.y) == correct
        if not isinstance(min_confidence, Real) or not 0 <= min_confidence <= 1:
            raise ValueError(f"min_confidence={min_confidence!r} is not a probability.")
        keep &= self.confidences >= min_confidence
        rows = rows[keep[rows]]
        if not len(rows):
            said = f"the highest confidence is {self.confidences.max():.2f}"
            if self.y is not None:
                said += f", {np.mean(self.predictions == self.y):.0%} of predictions are correct"
            raise ValueError(f"No epoch of {len(self)} is left: {said}.")
        known = [name for name in PER_EPOCH if getattr(self, name) is not None]
        changes = {name: getattr(self, name)[rows] for name in known}
        changes["source"] = self.source and self.source.select(rows)
        return replace(self, **changes)

    def __repr__(self):
        n_epochs, n_chans, n_parts = self.token_values.shape
        order = np.argsort(self.feature_importances_)[::-1]
        names = ", ".join(self.channel_names[i] for i in order[:3])
        kind = {"time": "temporal token", "band": "band"}[self.part_kind]
        return (
            f"<Explanation | {self.method}, {n_epochs} epoch{'s' * (n_epochs > 1)}, "
            f"{n_chans} channels x {n_parts} {kind}{'s' * (n_parts > 1)}, most on {names}>"
        )


def concatenate_explanations(explanations):
    """Concatenate explanations of different epochs, for example of the test subjects of folds.

    Parameters
    ----------
    explanations : list of Explanation
        Explanations with the same method, channels, parts and classes.

    Returns
    -------
    Explanation
        The explanation of all epochs, without models; their number is ``settings["n_models"]``.

    Raises
    ------
    ValueError
        If the list is empty, or the explanations are not compatible.

    Notes
    -----
    If a subject is explained by several models, such as those of several seeds or overlapping
    splits, the result contains its epochs once for each model. Statistics over subjects
    (`Explanation.subject_means`, `Explanation.confidence_intervals`, `Explanation.compare`) average
    them first, so that the subject counts once. Means over epochs, such as
    `Explanation.class_means` and maps, give it more weight.
    """
    explanations = list(explanations)
    if not explanations:
        raise ValueError("There are no explanations to be joined.")
    for name in ("method", "ch_names", "parts", "part_kind", "classes"):
        first, *others = (getattr(one, name) for one in explanations)
        if not all(np.array_equal(first, other) for other in others):
            raise ValueError(f"The explanations differ in {name}, and cannot be joined.")
    for name in _MEANING:
        found = [one.settings[name] for one in explanations if name in one.settings]
        if any(value != found[0] for value in found):
            raise ValueError(
                f"The explanations were made with different {name}, "
                f"{' and '.join(sorted(set(map(repr, found))))}, and cannot be joined."
            )
    joined = {}
    for name in PER_EPOCH:
        values = [getattr(one, name) for one in explanations]
        if name == "subjects":  # of which NumPy would make text, and of 1 and "1" one person
            some = [one for value in values if value is not None for one in value.tolist()]
            validate_groups(some, len(some))
        joined[name] = None if any(value is None for value in values) else np.concatenate(values)
    sources = [one.source for one in explanations if one.source is not None]
    n_models = len({id(source.classifier.net_) for source in sources})
    n_models += sum(one.settings.get("n_models", 1) for one in explanations if one.source is None)
    settings = explanations[0].settings | {"n_models": n_models}
    return replace(explanations[0], **joined, settings=settings, source=None)

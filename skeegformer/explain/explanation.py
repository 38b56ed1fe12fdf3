"""The result of an explainer: a value for every epoch and channel, and what belongs to it."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skeegformer._validation import check_one_of, name_channels
from skeegformer.explain.clusters import compare_conditions
from skeegformer.explain.export import to_dataframe, to_evoked, to_shap
from skeegformer.explain.faithfulness import evaluate_explanation
from skeegformer.explain.figures import FiguresMixin
from skeegformer.explain.methods import METHODS
from skeegformer.explain.patterns import explanation_patterns
from skeegformer.explain.source import Source
from skeegformer.explain.statistics import bootstrap_intervals, subject_means
from skeegformer.io._explanations import load_fields, save_fields

# What has one entry for every epoch, and so is indexed together.
PER_EPOCH = ("token_values", "probabilities", "y", "targets", "subjects", "connections")


@dataclass(frozen=True, repr=False, eq=False)
class Explanation(FiguresMixin):
    """What a classifier made of each channel, epoch by epoch.

    Made by `AttentionExplainer.explain`.

    Parameters
    ----------
    token_values : ndarray of shape (n_epochs, n_chans, n_parts)
        A value for every part of every channel. Parts are the channel's temporal tokens,
        or frequency bands.
    probabilities : ndarray of shape (n_epochs, n_classes)
        What the classifier predicted for these epochs.
    classes : ndarray of shape (n_classes,)
        The labels.
    y : ndarray of shape (n_epochs,) or None
        True labels, where they were given.
    ch_names : list of str or None
        Channel names, where known.
    info : mne.Info or None
        Measurement info with the electrode positions, where known.
    method : str
        How the values were computed; a key of `skeegformer.explain.METHODS`.
    parts : tuple of str, default=("epoch",)
        Names of the parts.
    part_kind : {"time", "band"}, default="time"
        What the parts are.
    targets : ndarray of shape (n_epochs,) or None, default=None
        The class whose score was explained in each epoch; None for methods that are the
        same for all classes.
    subjects : ndarray of shape (n_epochs,) or None, default=None
        The subject of each epoch, where known.
    connections : ndarray of shape (n_epochs, n_chans, n_chans) or None, default=None
        How much each channel (row, query) has taken from each channel (column, key) when the
        class token reads it, where it was asked for.
    permutation : sklearn.utils.Bunch or None, default=None
        For the method "permutation": ``importances`` of shape (n_chans, n_repeats),
        ``importances_mean`` and ``importances_std``, as scikit-learn has them.
    settings : dict, default={}
        The explainer's parameters, and figures of its computation.
    source : Source or None, default=None
        Model and epochs; not saved.
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
    permutation: Bunch | None = None
    settings: dict = field(default_factory=dict)
    source: Source | None = None

    evaluate = evaluate_explanation
    subject_means = subject_means
    confidence_intervals = bootstrap_intervals
    compare = compare_conditions
    patterns = explanation_patterns
    to_dataframe = to_dataframe
    to_evoked = to_evoked
    to_shap = to_shap

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
    def positions(self):
        """Electrode positions in metres, in MNE's head coordinates: (n_chans, 3), or None."""
        if self.info is None:
            return None
        positions = np.array([channel["loc"][:3] for channel in self.info["chs"]])
        return positions if np.isfinite(positions).all() and positions.any() else None

    @property
    def unit(self):
        """What the values are: shares of 1, which figures show in percent, or log odds."""
        return METHODS[self.method].unit

    @property
    def feature_importances_(self):
        """One non-negative number per channel, of sum 1: (n_chans,).

        The mean over epochs. Of signed methods, what channels speak against the class
        in the mean counts as 0.
        """
        importances = self.values.mean(axis=0).clip(min=0)
        total = importances.sum()
        return importances / total if total > 0 else importances

    def class_means(self, labels="auto"):
        """Average the values of the epochs of each class; shares are of 1, 0.02 for 2 %.

        Parameters
        ----------
        labels : {"auto", "true", "predicted"}, default="auto"
            Which label decides on an epoch's class; see `labels`.

        Returns
        -------
        dict
            For each class that occurs, an ndarray of shape (n_chans,).

        Raises
        ------
        ValueError
            If true labels are asked for and were not given.
        """
        y = self.labels(labels)
        return {label: self.values[y == label].mean(axis=0) for label in self.classes if label in y}

    def part_means(self):
        """Average over epochs, part by part.

        Returns
        -------
        dict of str to ndarray of shape (n_chans,)
            For each temporal token or band.
        """
        means = self.token_values.mean(axis=0)
        return {part: means[:, k] for k, part in enumerate(self.parts)}

    def labels(self, labels="auto"):
        """Choose the label of each epoch.

        Parameters
        ----------
        labels : {"auto", "true", "predicted"}, default="auto"
            "auto" takes the true ones where they are known.

        Returns
        -------
        ndarray of shape (n_epochs,)
            The labels.

        Raises
        ------
        ValueError
            If true labels are asked for and are not known.
        """
        check_one_of("labels", labels, ("auto", "true", "predicted"))
        if labels == "predicted" or (labels == "auto" and self.y is None):
            return self.predictions
        if self.y is None:
            raise ValueError("The true labels are not known: pass y to explain.")
        return self.y

    def select(self, epochs=None, *, label=None, subject=None, correct=None, min_confidence=0.0):
        """Keep some epochs.

        Parameters
        ----------
        epochs : array-like or None, default=None
            Indices or a mask.
        label : object or None, default=None
            Keep epochs of this class (true labels where known, else predicted).
        subject : object or None, default=None
            Keep epochs of this subject.
        correct : bool or None, default=None
            Keep what was predicted correctly (True), or wrongly (False).
        min_confidence : float, default=0.0
            Keep predictions of at least this probability.

        Returns
        -------
        Explanation
            Of the epochs that meet all conditions; permutation importance belongs to all
            epochs and is dropped.

        Raises
        ------
        ValueError
            If no epoch is left, or labels or subjects are asked for and not known.
        """
        keep = np.zeros(len(self), dtype=bool)
        keep[slice(None) if epochs is None else np.asarray(epochs)] = True
        if label is not None:
            check_one_of("label", label, self.classes.tolist())
            keep &= self.labels() == label
        if subject is not None:
            if self.subjects is None:
                raise ValueError("The subjects are not known: pass groups to explain.")
            check_one_of("subject", subject, np.unique(self.subjects).tolist())
            keep &= self.subjects == subject
        if correct is not None:
            keep &= (self.predictions == self.labels("true")) == correct
        if not 0 <= min_confidence <= 1:
            raise ValueError(f"min_confidence={min_confidence} is not a probability.")
        keep &= self.confidences >= min_confidence
        if not keep.any():
            raise ValueError(_nothing_left(self))
        changes = {
            name: getattr(self, name)[keep] for name in PER_EPOCH if getattr(self, name) is not None
        }
        if self.source is not None:
            changes["source"] = self.source.select(keep)
        if not keep.all():
            changes["permutation"] = None
        return replace(self, **changes)

    def save(self, path, *, overwrite=False):
        """Save everything but model and epochs as one file, in which nothing is executed.

        What puts an explanation to the test needs the model, and has to be computed before.

        Parameters
        ----------
        path : str or pathlib.Path
            Where to, with the ending ``.safetensors``.
        overwrite : bool, default=False
            Whether a file that is there may be replaced. It is there or replaced as a whole, also
            when saving is interrupted. Of `info`, names, types, rate, bad channels, positions and
            fiducials are kept, and of objects among the settings, their text.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        TypeError, ValueError
            If labels are of a type that cannot be saved, or the ending is another one.
        OSError
            If there is such a file, or it cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from skeegformer.explain import Explanation
        >>> explanation = Explanation(
        ...     token_values=np.array([[[0.75], [0.25]]]),
        ...     probabilities=np.array([[0.9, 0.1]]),
        ...     classes=np.array(["left", "right"]),
        ...     y=None,
        ...     ch_names=["C3", "C4"],
        ...     info=None,
        ...     method="rollout",
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = explanation.save(f"{folder}/explanation.safetensors")
        ...     Explanation.load(path)
        <Explanation | rollout, 1 epochs, 2 channels x 1 temporal token, most on C3, C4>
        """
        values = {name: getattr(self, name) for name in FIELDS if name != "source"}
        return save_fields(values, path, overwrite=overwrite)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or pathlib.Path
            The file.

        Returns
        -------
        Explanation
            It knows no model; give `evaluate` the estimator and X.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file, or it is no explanation, is incomplete or was changed since,
            or comes from a version that is not understood here.
        """
        return cls(**load_fields(path))

    def __repr__(self):
        n_epochs, n_chans, n_parts = self.token_values.shape
        every = name_channels(self.ch_names, n_chans)
        names = [every[i] for i in np.argsort(self.feature_importances_)[::-1][:3]]
        kind = {"time": "temporal token", "band": "band"}[self.part_kind]
        return (
            f"<Explanation | {self.method}, {n_epochs} epochs, {n_chans} channels x "
            f"{n_parts} {kind}{'s' * (n_parts > 1)}, "
            f"most on {', '.join(names)}>"
        )


FIELDS = tuple(part.name for part in fields(Explanation))


def _nothing_left(explanation):
    """Say why no epoch may be left."""
    known = ""
    if explanation.y is not None:
        correct = np.mean(explanation.predictions == explanation.y)
        known = f", {correct:.0%} of predictions are correct"
    highest = explanation.confidences.max()
    return (
        f"No epoch of {len(explanation)} is left: the highest confidence is {highest:.2f}{known}."
    )

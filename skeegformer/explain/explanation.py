"""The result of an explainer: a value for every epoch and channel, and what belongs to it."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skeegformer._validation import check_one_of, name_channels
from skeegformer.explain.figures import FiguresMixin
from skeegformer.explain.methods import METHODS
from skeegformer.io._explanations import load_fields, save_fields

# What has one entry for every epoch, and so is indexed together.
_PER_EPOCH = ("token_values", "probabilities", "y", "targets", "subjects", "layer_values")


@dataclass(frozen=True)
class Source:
    """What an explanation was made from, for those who want to put it to the test.

    Parameters
    ----------
    classifier : EEGTransformerClassifier
        The model that was explained; a copy that a later `fit` does not change.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        The epochs as they enter its network.
    """

    classifier: Any
    data: np.ndarray


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
    layer_values : ndarray of shape (n_epochs, n_layers, n_chans) or None, default=None
        The values after each layer, for methods that go through the layers.
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

    See Also
    --------
    AttentionExplainer : Makes them.
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
    layer_values: np.ndarray | None = None
    connections: np.ndarray | None = None
    permutation: Bunch | None = None
    settings: dict = field(default_factory=dict)
    source: Source | None = None

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
        """What the values are in figures, which show shares (here of 1) in percent."""
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
        """Average the values of the epochs of each class.

        Parameters
        ----------
        labels : {"auto", "true", "predicted"}, default="auto"
            Which label decides on an epoch's class; "auto" takes the true ones where they
            were given to `explain`.

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
            known = ""
            if self.y is not None:
                known = f", {np.mean(self.predictions == self.y):.0%} of predictions are correct"
            raise ValueError(
                f"No epoch of {len(self)} is left: the highest confidence is "
                f"{self.confidences.max():.2f}{known}."
            )
        changes = {
            name: getattr(self, name)[keep]
            for name in (*_PER_EPOCH, "connections")
            if getattr(self, name) is not None
        }
        if self.source is not None:
            changes["source"] = replace(self.source, data=self.source.data[keep])
        if not keep.all():
            changes["permutation"] = None
        return replace(self, **changes)

    def evaluate(self, estimator=None, X=None, **options):
        """Put the explanation to the test on its own model and epochs.

        Parameters
        ----------
        estimator, X : optional
            Model and epochs, for an explanation that was loaded from a file.
        **options : dict
            See `skeegformer.explain.evaluate_explanation`: ``truth``, ``n_repeats``,
            ``n_randomizations``, ``label_randomization``, ``max_epochs``,
            ``random_state``.

        Returns
        -------
        Faithfulness
            Deletion and insertion curves, figures and a plain verdict; print it.

        Warns
        -----
        UserWarning
            Where the map and what the model needs disagree.
        """
        from skeegformer.explain.faithfulness import evaluate_explanation

        return evaluate_explanation(self, estimator, X, **options)

    def subject_means(self, by="class", labels="auto"):
        """Average over the epochs of each subject.

        Parameters
        ----------
        by : {"class", "part", None}, default="class"
            A table for each class, for each part, or one of everything.
        labels : {"auto", "true", "predicted"}, default="auto"
            Which label decides on an epoch's class.

        Returns
        -------
        dict of str to pandas.DataFrame of shape (n_subjects, n_chans)
            See `skeegformer.explain.subject_means`.
        """
        from skeegformer.explain.statistics import subject_means

        return subject_means(self, by=by, labels=labels)

    def confidence_intervals(self, **options):
        """Mean of each channel over subjects, with its bootstrap interval.

        Parameters
        ----------
        **options : dict
            See `skeegformer.explain.bootstrap_intervals`: ``level``, ``n_resamples``,
            ``by``, ``labels``, ``random_state``.

        Returns
        -------
        dict of str to pandas.DataFrame
            For each condition, mean, low and high of each channel.
        """
        from skeegformer.explain.statistics import bootstrap_intervals

        return bootstrap_intervals(self, **options)

    def compare(self, a, b, **options):
        """Test the difference between two conditions over subjects and the scalp.

        Parameters
        ----------
        a, b : object
            Classes, or parts with ``by="part"``.
        **options : dict
            See `skeegformer.explain.compare_conditions`.

        Returns
        -------
        ClusterTest
            Clusters of neighbouring channels with their p-values; print it.
        """
        from skeegformer.explain.clusters import compare_conditions

        return compare_conditions(self, a, b, **options)

    def to_dataframe(self):
        """Make a long table of all values.

        Returns
        -------
        pandas.DataFrame
            A row for every epoch, channel and part.
        """
        from skeegformer.explain.export import to_dataframe

        return to_dataframe(self)

    def to_evoked(self, by="class", labels="auto"):
        """Turn averages into `mne.Evoked`, for every plot that MNE has.

        Parameters
        ----------
        by : {"class", None}, default="class"
            One for each class, or of all epochs.
        labels : {"auto", "true", "predicted"}, default="auto"
            Which label decides on an epoch's class.

        Returns
        -------
        dict of mne.EvokedArray, or mne.EvokedArray
            Channels times parts; the values are no volts.
        """
        from skeegformer.explain.export import to_evoked

        return to_evoked(self, by=by, labels=labels)

    def to_shap(self, parts=False):
        """Turn additive values into a `shap.Explanation`, for every plot that shap has.

        Parameters
        ----------
        parts : bool, default=False
            Whether each part of a channel is a feature of its own.

        Returns
        -------
        shap.Explanation
            Base values are the log odds that the values add up from.

        Raises
        ------
        ValueError
            If the method's values do not add up to what the model says.
        ImportError
            If shap is not installed.
        """
        from skeegformer.explain.export import to_shap

        return to_shap(self, parts=parts)

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
        order = np.argsort(self.feature_importances_)[::-1][:3]
        every = name_channels(self.ch_names, n_chans)
        names = [every[i] for i in order]
        kind = {"time": "temporal token", "band": "band"}[self.part_kind]
        return (
            f"<Explanation | {self.method}, {n_epochs} epochs, {n_chans} channels x "
            f"{n_parts} {kind}{'s' * (n_parts > 1)}, "
            f"most on {', '.join(names)}>"
        )


def concatenate_explanations(explanations):
    """Join explanations of different epochs, for example of the test subjects of each fold.

    Parameters
    ----------
    explanations : list of Explanation
        By one method, of the same channels, parts and classes.

    Returns
    -------
    Explanation
        Of all epochs. It has no model of its own: explanations of several models cannot be
        put to the test together.

    Raises
    ------
    ValueError
        If there is nothing to join, or they do not belong together.
    """
    explanations = list(explanations)
    if not explanations:
        raise ValueError("There are no explanations to join.")
    first = explanations[0]
    for name in ("method", "ch_names", "parts", "part_kind"):
        found = [getattr(explanation, name) for explanation in explanations]
        if any(value != found[0] for value in found):
            raise ValueError(f"The explanations differ in {name}, and cannot be joined.")
    if any(list(one.classes) != list(first.classes) for one in explanations):
        raise ValueError("The explanations differ in classes, and cannot be joined.")
    joined = {}
    for name in (*_PER_EPOCH, "connections"):
        values = [getattr(explanation, name) for explanation in explanations]
        known = all(value is not None for value in values)
        joined[name] = np.concatenate(values) if known else None
    models = {id(one.source.classifier.net_) for one in explanations if one.source is not None}
    source = None
    if len(models) == 1 and all(one.source is not None for one in explanations):
        data = np.concatenate([one.source.data for one in explanations])
        source = replace(first.source, data=data)
    return replace(first, **joined, permutation=None, source=source)


FIELDS = tuple(part.name for part in fields(Explanation))

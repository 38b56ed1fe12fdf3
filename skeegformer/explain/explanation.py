"""The result of an explainer: a value for every epoch and channel, and what belongs to it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skeegformer._validation import check_one_of


@dataclass(frozen=True, repr=False, eq=False)
class Explanation:
    """How much a classifier looked at each channel, epoch by epoch.

    Made by `AttentionExplainer.explain`.

    Parameters
    ----------
    token_values : ndarray of shape (n_epochs, n_chans, n_time_tokens)
        A value for every temporal token of every channel; each epoch sums to 1.
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
        How the values were computed.

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

    @property
    def values(self):
        """Value of each channel, summed over its temporal tokens: (n_epochs, n_chans)."""
        return self.token_values.sum(axis=-1)

    @property
    def predictions(self):
        """Predicted labels: (n_epochs,)."""
        return self.classes[self.probabilities.argmax(axis=1)]

    @property
    def positions(self):
        """Electrode positions in metres, in MNE's head coordinates: (n_chans, 3), or None."""
        if self.info is None:
            return None
        positions = np.array([channel["loc"][:3] for channel in self.info["chs"]])
        return positions if np.isfinite(positions).all() and positions.any() else None

    @property
    def feature_importances_(self):
        """Mean over epochs, non-negative and of sum 1: (n_chans,)."""
        importances = self.values.mean(axis=0)
        return importances / importances.sum()

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
        y = self._labels(labels)
        return {label: self.values[y == label].mean(axis=0) for label in self.classes if label in y}

    def plot_topomap(self, by="class", **kwargs):
        """Draw the values over the scalp.

        Parameters
        ----------
        by : {"class", None}, default="class"
            A map for each class, all with the same colour limits, or one for all epochs.
        **kwargs : dict
            Passed to `TopomapDisplay.plot`.

        Returns
        -------
        TopomapDisplay
            With the figure in ``figure_`` and the axes in ``axes_``.

        Raises
        ------
        ValueError
            If the electrode positions are not known.
        """
        from skeegformer.plotting import TopomapDisplay

        return TopomapDisplay.from_explanation(self, by=by, **kwargs)

    def _labels(self, labels):
        check_one_of("labels", labels, ("auto", "true", "predicted"))
        if labels == "predicted" or (labels == "auto" and self.y is None):
            return self.predictions
        if self.y is None:
            raise ValueError("The true labels are not known: pass y to explain.")
        return self.y

    def __repr__(self):
        n_epochs, n_chans, n_time_tokens = self.token_values.shape
        order = np.argsort(self.feature_importances_)[::-1][:3]
        names = [str(self.ch_names[i]) if self.ch_names else f"channel {i}" for i in order]
        return (
            f"<Explanation | {self.method}, {n_epochs} epochs, {n_chans} channels x "
            f"{n_time_tokens} temporal token{'s' * (n_time_tokens > 1)}, "
            f"most on {', '.join(names)}>"
        )

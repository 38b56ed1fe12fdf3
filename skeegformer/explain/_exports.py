"""Methods of `Explanation` that hand it to other tools: pandas, MNE and shap."""

import re

import mne
import numpy as np
import pandas as pd

from skeegformer._utils.info import describe_info, make_info
from skeegformer._validation import check_one_of
from skeegformer.explain.methods import METHODS

_NOT_ADDITIVE = {
    "attention": "they are shares of attention, which sum to one whatever the model predicts",
    "gradient": "they are shares of relevance, which sum to one whatever the model predicts",
    "perturbation": "each is what one channel alone makes up, and what several channels have in "
    "common is counted in all of them or in none",
}


def to_dataframe(self):
    """Make a long table of all values.

    Returns
    -------
    pandas.DataFrame
        A row for every epoch, channel and part, with the columns ``epoch`` (its index),
        ``subject``, ``label`` (the true one), ``prediction``, ``confidence`` (probability
        of the prediction), ``target`` (the class that was explained), ``channel``, ``part``
        and ``value``, a share of 1 or log odds. What is not known is None.
    """
    index = range(len(self)), self.channel_names, self.parts
    index = pd.MultiIndex.from_product(index, names=["epoch", "channel", "part"])
    frame = index.to_frame(index=False).assign(value=self.token_values.ravel())
    per_epoch = {
        "subject": self.subjects,
        "label": self.y,
        "prediction": self.predictions,
        "confidence": self.confidences,
        "target": self.targets,
    }
    for place, (name, values) in enumerate(per_epoch.items(), 1):
        known = None if values is None else values[frame["epoch"].to_numpy()]
        frame.insert(place, name, known)
    return frame


def to_evoked(self, by="class"):
    """Hand the mean values to MNE, so that all of its plots can draw them.

    The values stay what they are, shares of 1 or log odds. MNE takes them for volts and
    multiplies by a million: pass its topomaps ``cbar_fmt="%.2g"`` and ``scalings=1,
    units="log odds"``, or for shares ``scalings=100, units="%"``.

    Parameters
    ----------
    by : {"class", None}, default="class"
        A mean for each class, or one of all epochs.

    Returns
    -------
    dict of mne.EvokedArray, or mne.EvokedArray
        For each class that occurs, with the class as ``comment``, or one. Parts lie along
        the time axis: temporal tokens at their centres in seconds from the start of the
        epoch, others at 0, 1, 2, ... Bad channels are left out by MNE's plots.

    Raises
    ------
    ValueError
        If channels are not known.
    """
    check_one_of("by", by, ("class", None))
    if self.info is None:
        raise ValueError(
            "An Evoked needs to know its channels, and the classifier was fitted on arrays: pass "
            "Epochs, or give explain an info=."
        )
    first, rate = _part_times(self)
    info = make_info({**describe_info(self.info), "sfreq": rate})

    def evoked(values, comment):
        options = {"comment": comment, "nave": len(values), "verbose": "ERROR"}
        means = mne.EvokedArray(values.mean(axis=0), info, **options)
        return means.shift_time(first, relative=False)

    if by is None:
        return evoked(self.token_values, "all epochs")
    y = self.labels()
    return {
        label: evoked(self.token_values[y == label], str(label))
        for label in self.classes
        if label in y
    }


def to_shap(self):
    """Hand the values to shap, for its plots.

    Only for methods whose values add up: those of an epoch and its base value make the log
    odds of the class that was explained.

    Returns
    -------
    shap.Explanation
        With ``values`` of shape (n_epochs, n_chans), ``base_values`` of shape (n_epochs,),
        the log odds that are left for an average signal, and ``data``, the root mean square
        of each channel (in microvolts for Epochs, else in the unit of the array), or None
        for explanations that have no data with them.

    Raises
    ------
    ValueError
        If the values do not add up, or the classes that were explained are not known.
    ImportError
        If shap is not installed.

    References
    ----------
    .. [1] Lundberg and Lee (2017), A unified approach to interpreting model predictions.
       NeurIPS. arXiv:1705.07874
    """
    method = METHODS[self.method]
    if not method.additive:
        able = ", ".join(repr(name) for name, other in METHODS.items() if other.additive)
        raise ValueError(
            f"shap adds values up, and those of {method.label} do not add up to what the model "
            f"says: {_NOT_ADDITIVE[method.family]}. Explain with method={able}."
        )
    if self.targets is None:
        raise ValueError(
            "shap needs to know which class each epoch's values explain, and targets are None."
        )
    try:
        import shap
    except ImportError as error:
        raise ImportError(
            'to_shap needs shap, which is not installed: pip install "skeegformer[shap]".'
        ) from error

    values, names, data = self.values, self.channel_names, None
    if self.source is not None:
        data = np.sqrt(np.mean(np.square(self.source.data, dtype=float), axis=-1))
    base = _log_odds(self) - values.sum(axis=1)
    return shap.Explanation(values=values, base_values=base, data=data, feature_names=names)


def _part_times(explanation):
    """Say when the first part is, and how many there are in a second."""
    if explanation.part_kind == "time" and len(explanation.parts) > 1:
        found = [re.fullmatch(r"([\d.]+)-([\d.]+) s", part) for part in explanation.parts]
        if all(found):
            centres = np.array([float(match[1]) + float(match[2]) for match in found]) / 2
            step = (centres[-1] - centres[0]) / (len(centres) - 1)
            return centres[0], 1 / step
    return 0.0, 1.0


def _log_odds(explanation):
    """Compute the log odds of each epoch's target, also where its probability rounds to 1."""
    own = explanation.targets[:, np.newaxis] == explanation.classes
    probabilities = explanation.probabilities.astype(float).clip(np.finfo(np.float32).tiny)
    others = np.where(own, 0.0, probabilities).sum(axis=1)
    return np.log(probabilities[own]) - np.log(others)

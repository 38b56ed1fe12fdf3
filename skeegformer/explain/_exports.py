"""Methods of `Explanation` that hand it to pandas and MNE."""

import re

import mne
import numpy as np
import pandas as pd

from skeegformer._utils.info import describe_info, make_info
from skeegformer._validation import check_one_of


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
        for label in self.classes.tolist()
        if label in y
    }


def _part_times(explanation):
    """Say when the first part is, and how many there are in a second."""
    if explanation.part_kind == "time" and len(explanation.parts) > 1:
        found = [re.fullmatch(r"([\d.]+)-([\d.]+) s", part) for part in explanation.parts]
        if all(found):
            centres = np.array([float(match[1]) + float(match[2]) for match in found]) / 2
            step = (centres[-1] - centres[0]) / (len(centres) - 1)
            return centres[0], 1 / step
    return 0.0, 1.0

"""The methods of `Explanation` that save, load and tabulate it; attention of eeg-transformer."""

from dataclasses import fields
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import mne
import numpy as np
import pandas as pd

from skeegformer.explain._inputs import channels_of
from skeegformer.explain._perturbation import part_names
from skeegformer.explain._rollout import by_channel
from skeegformer.io._checkpoints import load_attention
from skeegformer.io._explanations import load_fields, save_fields
from skeegformer.nn import tokens_to_channels


def save(self, path, *, overwrite=False):
    """Save everything but model and epochs as one file, in which nothing is executed.

    Of `info`, names, types, rate, bad channels, positions and fiducials are kept, and of
    objects among the settings, their text. What puts an explanation to the test needs the
    model, and has to be computed before.

    Parameters
    ----------
    path : str or pathlib.Path
        Where to, with the ending ``.safetensors``.
    overwrite : bool, default=False
        Whether a file that is there may be replaced, as a whole.

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
    """
    values = {part.name: getattr(self, part.name) for part in fields(self)}
    del values["source"]
    return save_fields(values, path, overwrite=overwrite)


def load(cls, path, *, info=None):
    """Read what `save` wrote, or the ``attention.pt`` of eeg-transformer.

    The latter holds rollout as ``AttentionExplainer(convention="eeg-transformer",
    head_fusion="max", connections=True)`` computes it. Of its probabilities
    only the largest is kept: the others share what is left. Nothing in it is run.

    Parameters
    ----------
    path : str or pathlib.Path
        The file.
    info : mne.Info or None, default=None
        Names and positions of the channels in ``attention.pt``, which it does not tell: of those
        in the export, or of those that were not ignored.

    Returns
    -------
    Explanation
        It knows no model, so that `evaluate` cannot test it.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is no explanation, incomplete, changed or too new, or
        `info` has other channels.
    """
    if Path(path).suffix == ".pt":
        return cls(**_read_attention(path, info))
    values = load_fields(path)
    if info is not None:
        raise ValueError(f"{path} knows its channels: leave out info.")
    values.pop("permutation", None)  # of earlier versions
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no explanation that could be used: {error}") from error


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


def _read_attention(path, info):
    """Make fields of an explanation of the attention of eeg-transformer."""
    found = load_attention(path)
    kept, classes, confidences = found["kept"], found["classes"], found["confidences"]
    if isinstance(info, mne.Info) and len(info["ch_names"]) != len(kept):
        if len(info["ch_names"]) != found["n_channels"]:
            raise ValueError(
                f"There are {len(info['ch_names'])} names of channels, but {path} is of "
                f"{found['n_channels']} channels, of which {len(kept)} were not ignored."
            )
        info = mne.pick_info(info, kept)
    shape = {"n_chans": len(kept), "n_time_tokens": found["n_time_tokens"]}
    network = SimpleNamespace(
        n_chans_=len(kept),
        ch_names_=None,
        info_=None,
        n_time_tokens=found["n_time_tokens"],
        token_length=found["token_length"],
        tokens_to_channels=partial(tokens_to_channels, **shape),
    )
    is_predicted = found["predictions"][:, None] == classes
    rest = (1 - confidences) / (len(classes) - 1)
    channels = channels_of(network, info)
    if info is None:  # places are those in the export
        channels["ch_names"] = [f"channel {place}" for place in kept]
    return {
        **channels,
        **by_channel(network, found["attention"][:, 0, 1:].astype(float), found["attention"]),
        **{name: found[name] for name in ("classes", "y", "subjects")},
        "probabilities": np.where(is_predicted, confidences[:, None], rest[:, None]),
        "parts": part_names(network, found["sfreq"]),
        "method": "rollout",
        "settings": {
            "method": "rollout",
            "head_fusion": "max",
            "convention": "eeg-transformer",
            "connections": True,
        },
    }

"""The methods of `Explanation` that save, load and tabulate it."""

from dataclasses import fields

import pandas as pd

from skeegformer._utils.files import check_output_file
from skeegformer.io._encoding import CannotEncode, Decoder, Encoder
from skeegformer.io._format import SUFFIX, read_file, write_file


def save(self, path, *, overwrite=False):
    """Save everything but model and epochs to one file, without pickle.

    Of `info`, names, types, rate, bad channels, positions and fiducials are kept, and objects
    among the settings are saved as text. A loaded explanation has no model, so call `evaluate`
    before.

    Parameters
    ----------
    path : str or pathlib.Path
        The file, with the extension ``.safetensors``.
    overwrite : bool, default=False
        Whether an existing file may be replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError, ValueError
        If labels are of a type that cannot be saved, or the extension is different.
    OSError
        If the file exists and may not be replaced, or cannot be written.
    """
    path = check_output_file(path, (SUFFIX,), overwrite)
    encoder, settings = Encoder(), _SettingsEncoder()
    settings.arrays = encoder.arrays
    content = {}
    for name in [field.name for field in fields(self) if field.name != "source"]:
        try:
            encode = (settings if name == "settings" else encoder).encode
            content[name] = encode(getattr(self, name))
        except CannotEncode as error:
            raise TypeError(f"{name} is, or holds, {error}, which cannot be saved.") from error
    write_file(path, "explanation", content, encoder.arrays)
    return path


def load(cls, path):
    """Load a saved explanation.

    Parameters
    ----------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    Explanation
        The explanation, without its model, so that `evaluate` cannot test it.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file does not exist, or is not an explanation, incomplete, modified or too new.
    """
    values = read_file(path, "explanation", Decoder.decode_all)
    values.pop("permutation", None)  # of earlier versions
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no explanation that could be used: {error}") from error


def to_dataframe(self):
    """Return all values in long format.

    Returns
    -------
    pandas.DataFrame
        One row per epoch, channel and part, with the columns ``epoch`` (index), ``subject``,
        ``label`` (true label), ``prediction``, ``confidence`` (probability of the prediction),
        ``target`` (the class that was explained), ``channel``, ``part`` and ``value``, a share or
        log odds. Unknown entries are None.
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


class _SettingsEncoder(Encoder):
    """Encode settings, which people read: of what is no plain data, its text."""

    def encode_other(self, value):
        return repr(value)

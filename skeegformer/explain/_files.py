"""The methods of `Explanation` that save, load and tabulate it."""

from dataclasses import fields

import pandas as pd

from skeegformer._utils.files import check_output_file
from skeegformer.io._encoding import CannotEncode, Decoder, Encoder
from skeegformer.io._format import SUFFIX, read_file, write_file


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
    path = check_output_file(path, (SUFFIX,), overwrite)
    encoder, settings = Encoder(), _SettingsEncoder()
    settings.arrays = encoder.arrays
    content = {}
    for name in _names(self):
        try:
            encode = (settings if name == "settings" else encoder).encode
            content[name] = encode(getattr(self, name))
        except CannotEncode as error:
            raise TypeError(f"{name} is, or holds, {error}, which cannot be saved.") from error
    write_file(path, "explanation", content, encoder.arrays)
    return path


def load(cls, path):
    """Read what `save` wrote.

    Parameters
    ----------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    Explanation
        It knows no model, so that `evaluate` cannot test it.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is no explanation, incomplete, changed or too new.
    """
    values = read_file(path, "explanation", Decoder.decode_all)
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


def _names(explanation):
    return [part.name for part in fields(explanation) if part.name != "source"]


class _SettingsEncoder(Encoder):
    """Encode settings, which people read: of what is no plain data, its text."""

    def encode_other(self, value):
        return repr(value)

"""The fields of an explanation as a file."""

from skeegformer._utils.files import check_output_file
from skeegformer.io._encoding import CannotEncode, Decoder, Encoder
from skeegformer.io._format import SUFFIX, read_file, write_file


class _SettingsEncoder(Encoder):
    """Encode settings, which people read: of what is no plain data, its text."""

    def encode_other(self, value):
        return repr(value)


def save_fields(fields, path, *, overwrite=False):
    """Save a dict of arrays, texts, numbers, an `mne.Info`, None, or dicts of them."""
    path = check_output_file(path, (SUFFIX,), overwrite)
    encoder, settings = Encoder(), _SettingsEncoder()
    settings.arrays = encoder.arrays
    content = {}
    for name, value in fields.items():
        try:
            content[name] = (settings if name == "settings" else encoder).encode(value)
        except CannotEncode as error:
            raise TypeError(f"{name} is, or holds, {error}, which cannot be saved.") from error
    write_file(path, "explanation", content, encoder.arrays)
    return path


def load_fields(path):
    """Read such a dict again."""
    return read_file(path, "explanation", Decoder.decode_all)

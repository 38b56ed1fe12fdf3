"""Small files of ``torch.save``, read as values; nothing that they name is looked up or run."""

import pickle
import zipfile

import numpy as np

_TYPES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "LongStorage": "<i8", "IntStorage": "<i4"}


def read_pickle(path):
    """Read plain values and tensors; objects become `Inert`.

    What a damaged file raises is of a dozen types.
    """
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(name) as file:
            return _Reader(file, archive, name.removesuffix(".pkl")).load()


def as_array(value):
    """Make an array of a tensor, or of what numpy or pandas pickled: whole numbers, or objects."""
    if isinstance(value, np.ndarray):
        return value
    if type(value).__name__ == "_new_Index":
        value = value.args[1]["data"]
    if len(value.state) == 2:  # pandas' own array of texts: its type, and an array of numpy
        value = value.state[1]
    _, shape, dtype, _, content = value.state
    if isinstance(content, list):
        return np.array(content, dtype=object).reshape(shape)
    if dtype.args[0] not in ("i4", "i8"):
        raise ValueError("no whole numbers")
    return np.frombuffer(content, "<" + dtype.args[0]).reshape(shape)


class Inert(dict):
    """What a pickle says to be an object: its items, arguments and state, and nothing is run."""

    def __new__(cls, *args, **kwargs):
        made = super().__new__(cls)
        made.args, made.state = args, None
        return made

    def __init__(self, *args, **kwargs):
        super().__init__()

    def __setstate__(self, state):
        self.state = state


class _Reader(pickle.Unpickler):
    """Read values and tensors; other names become empty classes of that name."""

    def __init__(self, file, archive, folder):
        super().__init__(file)
        self._archive, self._folder = archive, folder

    def find_class(self, module, name):
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _make_tensor,
            ("_codecs", "encode"): _make_bytes,
        }
        return known.get((module, name)) or type(name, (Inert,), {})

    def persistent_load(self, pid):
        _, kind, key, *_ = pid
        return np.frombuffer(self._archive.read(f"{self._folder}/{key}"), _TYPES[kind.__name__])


def _make_tensor(values, offset, shape, *_):
    """Make an array; tensors that are saved after a computation lie in one piece."""
    return values[offset : offset + int(np.prod(shape))].reshape(shape)


def _make_bytes(text, encoding):
    return text.encode("latin1")  # how old pickles write bytes

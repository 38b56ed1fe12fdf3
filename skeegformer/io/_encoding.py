"""Values as plain data: a tagged JSON text and, beside it, arrays of numbers.

What JSON has itself (None, True, whole numbers, finite numbers, text, lists) stays as it is.
Everything else is an object whose first key, the tag, says what it is::

    {"float": "nan"}                                  a number that JSON has not
    {"tuple": [...]}
    {"dict": {...}}, {"items": [[key, value], ...]}   keys that are text; others
    {"scalar": ["float32", 0.5]}                      NumPy's scalars
    {"array": "x"}, {"array": "x", "order": "F"}      name of an array in the other part
    {"texts": [...], "dtype": "<U5", "shape": [2]}
    {"objects": [...], "shape": [2]}
    {"tensor": "x"}                                   torch's
    {"info": {...}}                                   MNE's

Further tags belong to subclasses. No name in the text is looked up anywhere.
"""

import math
from collections import OrderedDict

import numpy as np
import torch
from sklearn.utils import Bunch

from skeegformer._utils.info import describe_info, make_info

_NUMBERS = "biuf"
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class CannotEncode(TypeError):
    """A value is of a type that cannot be written as plain data."""


class Encoder:
    """Turn values into plain data; numbers of arrays come into ``arrays``, by their names in it."""

    def __init__(self):
        self.arrays = {}

    def encode(self, value):
        """Give what `json.dumps` takes, or raise `CannotEncode`."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind is list:
            return self._each(value)
        if kind is tuple:
            return {"tuple": self._each(value)}
        if kind in (dict, OrderedDict, Bunch):
            if all(type(key) is str for key in value):
                return {"dict": dict(zip(value, self._each(value.values()), strict=True))}
            return {"items": [self._each(item) for item in value.items()]}
        if isinstance(value, np.generic):
            if not _is_numeric(value.dtype) and value.dtype.kind != "U":
                raise CannotEncode(f"a {kind.__name__}")
            return {"scalar": [value.dtype.str, self.encode(value.item())]}
        if kind is np.ndarray:
            return self._encode_array(value)
        if kind is torch.Tensor:
            return {"tensor": self.keep(value)}
        if kind.__name__ == "Info" and kind.__module__.startswith("mne."):
            return {"info": self.encode(describe_info(value))}
        return self.encode_other(value)

    def encode_other(self, value):
        """Encode what is of none of these types."""
        raise CannotEncode(f"a {type(value).__name__}")

    def keep(self, values, name="array"):
        """Put an array or a tensor aside, and give its name; a number is added if it is taken."""
        if isinstance(values, torch.Tensor):
            try:
                values = values.detach().cpu().numpy()
            except (TypeError, RuntimeError) as error:
                raise CannotEncode(f"a tensor of {values.dtype}") from error
        if not _is_numeric(values.dtype):
            raise CannotEncode(f"an array of {values.dtype}")
        if name in self.arrays:
            name = f"{name}.{len(self.arrays)}"
        # Of its own memory, in the order of its axes and of the bytes on this machine.
        self.arrays[name] = np.array(values, dtype=values.dtype.newbyteorder("="), order="C")
        return name

    def _each(self, values):
        return [self.encode(value) for value in values]

    def _encode_array(self, values):
        shape = list(values.shape)
        if values.dtype.kind == "O":
            return {"objects": self._each(values.ravel()), "shape": shape}
        if values.dtype.kind in "US":
            texts = values.astype("U").ravel().tolist()
            return {"texts": texts, "dtype": values.dtype.str, "shape": shape}
        if values.flags.f_contiguous and not values.flags.c_contiguous:
            # Sums come out otherwise, in the last bit, over axes in another order.
            return {"array": self.keep(values.T), "order": "F"}
        return {"array": self.keep(values)}


class Decoder:
    """Make values of plain data again: a method ``_read_`` and a tag takes what is in an object."""

    def __init__(self, arrays):
        self._arrays = arrays

    @classmethod
    def decode_all(cls, content, arrays):
        """Decode a dict of plain values."""
        decoder = cls(arrays)
        return {name: decoder.decode(plain) for name, plain in content.items()}

    def decode(self, plain):
        """Give the value, or raise ValueError, TypeError, KeyError or the like."""
        if isinstance(plain, list):
            return [self.decode(item) for item in plain]
        if not isinstance(plain, dict):
            return plain
        for tag in plain:
            read = getattr(self, f"_read_{tag}", None)
            if read is not None:
                return read(**plain)
        raise ValueError(f"nothing is known of {', '.join(map(repr, plain)) or 'no name'}")

    def array(self, name):
        """Give a copy of the array of this name."""
        return self._arrays[name].copy()

    def _read_float(self, float):
        return _NOT_FINITE[float]

    def _read_tuple(self, tuple):
        return (*map(self.decode, tuple),)

    def _read_dict(self, dict):
        return {key: self.decode(item) for key, item in dict.items()}

    def _read_items(self, items):
        return {self.decode(key): self.decode(item) for key, item in items}

    def _read_scalar(self, scalar):
        kind, value = scalar
        return np.array(self.decode(value), dtype=_checked(kind, _NUMBERS + "U"))[()]

    def _read_array(self, array, order="C"):
        values = self.array(array)
        return values.T if order == "F" else values

    def _read_texts(self, texts, dtype, shape):
        return np.array(texts, dtype=_checked(dtype, "US")).reshape(shape)

    def _read_objects(self, objects, shape):
        values = np.empty(len(objects), dtype=object)
        for index, item in enumerate(objects):
            values[index] = self.decode(item)
        return values.reshape(shape)

    def _read_tensor(self, tensor):
        return torch.from_numpy(self.array(tensor))

    def _read_info(self, info):
        return make_info(self.decode(info))


def _is_numeric(dtype):
    return dtype.kind in _NUMBERS and dtype.itemsize <= 8


def _checked(name, kinds):
    """Give the dtype of this name, if it is of one of these kinds."""
    dtype = np.dtype(str(name))
    if dtype.kind not in kinds:
        raise ValueError(f"no values of the type {name!r} are read")
    return dtype

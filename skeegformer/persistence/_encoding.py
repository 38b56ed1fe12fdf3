"""Values as plain data: a tagged JSON text and, beside it, arrays of numbers.

What JSON has itself (None, True, whole numbers, finite numbers, text, lists) stays as it is.
Everything else is an object with a single key, the tag, that says what it is::

    {"float": "nan"}                                  a number that JSON has not
    {"tuple": [...]}, {"set": [...]}, {"slice": [...]}, {"range": [...]}
    {"dict": {...}}, {"items": [[key, value], ...]}   keys that are text; others
    {"scalar": ["float32", 0.5]}                      NumPy's scalars
    {"array": "x"}, {"array": "x", "order": "F"}      name of an array in the other part
    {"texts": [...], "dtype": "<U5", "shape": [2]}
    {"objects": [...], "shape": [2]}
    {"tensor": "x"}                                   torch's
    {"info": {...}}                                   MNE's

Further tags belong to whoever gives them. To decode makes values of these types and nothing
else: no name in the text is looked up anywhere.
"""

import math

import numpy as np
import torch

from skeegformer._info import describe_info, make_info

_NUMBERS = "biuf"
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class CannotEncode(TypeError):
    """A value is of a type that cannot be written as plain data."""


class Encoder:
    """Turn values into plain data.

    Parameters
    ----------
    special : callable
        Takes a value of a type that is not known here, and this encoder, and returns an object
        with a tag of its own, or raises `CannotEncode`.

    Attributes
    ----------
    arrays : dict of ndarray
        The numbers, by their names in the text.
    """

    def __init__(self, special):
        self.arrays = {}
        self._special = special

    def encode(self, value):
        """Encode a value.

        Parameters
        ----------
        value : object
            Anything of the types above.

        Returns
        -------
        object
            What `json.dumps` takes.

        Raises
        ------
        CannotEncode
            If it is, or holds, something else.
        """
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind is list:
            return [self.encode(item) for item in value]
        if kind is tuple:
            return {"tuple": [self.encode(item) for item in value]}
        if kind in (slice, range):
            tag = kind.__name__
            return {tag: [self.encode(at) for at in (value.start, value.stop, value.step)]}
        if kind is set:
            return {"set": sorted(map(self.encode, value), key=str)}
        if kind is dict:
            return self._encode_dict(value)
        if isinstance(value, np.generic):
            return self._encode_scalar(value)
        if kind is np.ndarray:
            return self._encode_array(value)
        if kind is torch.Tensor:
            return {"tensor": self.keep(value)}
        if kind.__name__ == "Info" and kind.__module__.startswith("mne."):
            return {"info": self.encode(describe_info(value))}
        return self._special(value, self)

    def keep(self, values, name="array"):
        """Put an array of numbers aside.

        Parameters
        ----------
        values : ndarray or Tensor
            The numbers.
        name : str, default="array"
            What to call it; a number is added where the name is taken.

        Returns
        -------
        str
            Its name in `arrays`.

        Raises
        ------
        CannotEncode
            If its numbers are of a type that NumPy has not, or that are no real numbers.
        """
        if isinstance(values, torch.Tensor):
            try:
                values = values.detach().cpu().numpy()
            except (TypeError, RuntimeError) as error:
                raise CannotEncode(f"a tensor of {values.dtype}") from error
        if values.dtype.kind not in _NUMBERS or values.dtype.itemsize > 8:
            raise CannotEncode(f"an array of {values.dtype}")
        if name in self.arrays:
            name = f"{name}.{len(self.arrays)}"
        # Of its own memory, in the order of its axes and of the bytes on this machine.
        self.arrays[name] = np.array(values, dtype=values.dtype.newbyteorder("="), order="C")
        return name

    def _encode_dict(self, value):
        if all(type(key) is str for key in value):
            return {"dict": {key: self.encode(item) for key, item in value.items()}}
        return {"items": [[self.encode(key), self.encode(item)] for key, item in value.items()]}

    def _encode_scalar(self, value):
        is_number = value.dtype.kind in _NUMBERS and value.dtype.itemsize <= 8
        if not is_number and value.dtype.kind != "U":
            raise CannotEncode(f"a {type(value).__name__}")
        return {"scalar": [value.dtype.str, self.encode(value.item())]}

    def _encode_array(self, values):
        if values.dtype.kind in _NUMBERS:
            if values.flags.f_contiguous and not values.flags.c_contiguous:
                # Sums come out otherwise, in the last bit, over axes in another order.
                return {"array": self.keep(values.T), "order": "F"}
            return {"array": self.keep(values)}
        shape = list(values.shape)
        if values.dtype.kind == "U":
            return {"texts": values.ravel().tolist(), "dtype": values.dtype.str, "shape": shape}
        if values.dtype.kind == "O":
            return {"objects": [self.encode(item) for item in values.ravel()], "shape": shape}
        raise CannotEncode(f"an array of {values.dtype}")


class Decoder:
    """Make values of plain data again.

    Parameters
    ----------
    arrays : dict of ndarray
        The numbers.
    special : dict of {str: callable}
        For each tag that is not known here, a function of the object that has it and this
        decoder.
    """

    def __init__(self, arrays, special):
        self._arrays = arrays
        self._special = special

    def decode(self, plain):
        """Decode a value.

        Parameters
        ----------
        plain : object
            From `Encoder.encode`.

        Returns
        -------
        object
            The value, with memory of its own.

        Raises
        ------
        ValueError, TypeError, KeyError
            If this is nothing that `Encoder` has written.
        """
        if isinstance(plain, list):
            return [self.decode(item) for item in plain]
        if not isinstance(plain, dict):
            return plain
        tag = next((tag for tag in plain if tag in _READERS or tag in self._special), None)
        if tag is None:
            raise ValueError(f"nothing is known of {', '.join(map(repr, plain)) or 'no name'}")
        if tag in self._special:
            return self._special[tag](plain, self)
        return _READERS[tag](self, **plain)

    def array(self, name):
        """Take an array of numbers.

        Parameters
        ----------
        name : str
            From `Encoder.keep`.

        Returns
        -------
        ndarray
            A copy.
        """
        return self._arrays[name].copy()

    def _read_float(self, float):
        return _NOT_FINITE[float]

    def _read_tuple(self, tuple):
        return (*map(self.decode, tuple),)

    def _read_slice(self, slice):
        start, stop, step = map(self.decode, slice)
        return np.s_[start:stop:step]

    def _read_range(self, **plain):
        return range(*map(self.decode, plain["range"]))

    def _read_set(self, set):
        return {*map(self.decode, set)}

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
        return np.array(texts, dtype=_checked(dtype, "U")).reshape(shape)

    def _read_objects(self, objects, shape):
        values = np.empty(len(objects), dtype=object)
        for index, item in enumerate(objects):
            values[index] = self.decode(item)
        return values.reshape(shape)

    def _read_tensor(self, tensor):
        return torch.from_numpy(self.array(tensor))

    def _read_info(self, info):
        return make_info(self.decode(info))


def _checked(name, kinds):
    """Make a dtype of its name, of these kinds alone."""
    dtype = np.dtype(str(name))
    if dtype.kind not in kinds:
        raise ValueError(f"{name} is no type of numbers or text")
    return dtype


_READERS = {
    name.removeprefix("_read_"): reader
    for name, reader in vars(Decoder).items()
    if name.startswith("_read_")
}

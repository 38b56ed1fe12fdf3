"""The one format of our files: tensors of safetensors, and a JSON text in their metadata.

The text has the name ``skeegformer`` and holds ``format`` and its ``version``, ``saved_with``
(versions of packages), the content, with values as `_encoding` describes, under ``model``,
``explanation`` or ``training``, and ``checksum``, the SHA-256 of all this and of the tensors.
"""

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from skeegformer._utils.files import writing

SUFFIX = ".safetensors"
VERSION = 3
# What each kind of file is read by.
_READERS = {
    "model": "load_model",
    "explanation": "Explanation.load",
    "training": "ResumableTraining",
}
_LARGEST_TEXT = 90_000_000  # of the header of a safetensors file, which may have 100 MB
_PACKAGES = ("skeegformer", "numpy", "scikit-learn", "torch", "skorch", "mne", "safetensors")


def write_file(path, kind, content, arrays):
    """Write content that JSON can hold, and arrays by the names that they have in it."""
    header = {
        "format": f"skeegformer-{kind}",
        "version": VERSION,
        "saved_with": versions(),
        kind: content,
    }
    header["checksum"] = checksum(arrays, header)
    text = json.dumps(header, allow_nan=False)
    if len(text) > _LARGEST_TEXT:
        raise ValueError(
            f"Everything but the arrays takes {len(text) / 1e6:.0f} MB, and the format holds "
            f"{_LARGEST_TEXT / 1e6:.0f}: history_ or another attribute is very long."
        )
    with writing(path) as file:
        file.write(save(arrays, {"skeegformer": text}))


@cache
def versions():
    """Name the versions that decide on what a file holds."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def read_file(path, kind, decode):
    """Give what `decode` makes of content and arrays, if a file is what was written."""
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the file in it.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if path.suffix.lower() != SUFFIX:  # as `check_output_file` allows
        raise ValueError(f"{path} does not end in {SUFFIX}, as all files of skeegformer do.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise type(error)(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        arrays = load(content)
        start = 8 + int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8:start]).get("__metadata__", {})
    except Exception as error:  # what damaged or foreign tensors raise is of several types
        raise ValueError(
            f"{path} cannot be read: it is incomplete, damaged, or no file of safetensors "
            f"({error})."
        ) from error
    header = _read_header(path, kind, metadata, arrays)
    saved_with = header["saved_with"].get("skeegformer", "of unknown version")
    if header["version"] != VERSION:
        raise ValueError(
            f"{path} was written by skeegformer {saved_with} in format {header['version']}, and "
            f"this version reads format {VERSION}: install that version to read it, or make the "
            f"{kind} anew."
        )
    try:
        return decode(header[kind], arrays)
    except Exception as error:  # what a file of another version, or a made-up one, may raise
        what = f"there is no {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ValueError(
            f"{path} was saved with skeegformer {saved_with} and cannot be made into the {kind} "
            f"by {version('skeegformer')}: {what}. Load it with that version, or make the {kind} "
            "anew."
        ) from error


def _read_header(path, kind, metadata, arrays):
    """Take the text out of the metadata, and find out whether it is what was written."""
    try:
        header = json.loads(metadata["skeegformer"])
        other = header["format"].removeprefix("skeegformer-")
        parts = header.get(other), header.get("saved_with")
        is_ours = other in _READERS and type(header["version"]) is int
        is_ours = is_ours and all(isinstance(part, dict) for part in parts)
        unsigned = {key: value for key, value in header.items() if key != "checksum"}
        found = checksum(arrays, unsigned)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        is_ours = False
    if not is_ours:
        raise ValueError(f"{path} is no {kind} that skeegformer has saved.")
    if found != header.get("checksum"):
        raise ValueError(
            f"{path} was changed since it was saved, its checksum differs: save it again, or take "
            "another copy of the file."
        )
    if other != kind:
        raise ValueError(f"{path} is no {kind}: it holds a {other}, for {_READERS[other]}.")
    return header


def checksum(arrays, header):
    """Compute the SHA-256 of a JSON header, and of names, types, shapes and values of arrays."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        values = arrays[name]
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()

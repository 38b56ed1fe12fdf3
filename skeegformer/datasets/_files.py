"""Finding, fetching and checking the files of the EEG Motor Movement/Imagery Dataset."""

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import mne
from tqdm.auto import tqdm

_LAYOUT = Path("MNE-eegbci-data", "files", "eegmmidb", "1.0.0")
_HEADER_BYTES = 256


def data_root(path=None):
    """Return the folder that holds, or shall hold, ``MNE-eegbci-data``.

    Parameters
    ----------
    path : path-like or None
        A folder; None asks MNE's settings ``MNE_DATASETS_EEGBCI_PATH`` and ``MNE_DATA``, from
        the environment or from its configuration file, and falls back on ``~/mne_data``.

    Returns
    -------
    pathlib.Path
        The folder. Nothing is created and no setting is written.

    Raises
    ------
    FileNotFoundError
        If the folder that was named does not exist.
    """
    if path is not None:
        chosen, origin = path, "path"
    else:
        for origin in ("MNE_DATASETS_EEGBCI_PATH", "MNE_DATA"):
            chosen = mne.get_config(origin)
            if chosen:
                break
        else:
            return Path("~/mne_data").expanduser()
    root = Path(chosen).expanduser().absolute()
    if not root.is_dir():
        raise FileNotFoundError(
            f"{origin} names {str(chosen)!r}, which is not an existing folder. Create it, or name "
            "the folder that contains, or shall contain, 'MNE-eegbci-data'."
        )
    return root


def recording_path(root, subject, run):
    """Return where one recording lies below `root`.

    Parameters
    ----------
    root : pathlib.Path
        Folder from `data_root`.
    subject : int
        Subject, from 1.
    run : int
        Run, from 1.

    Returns
    -------
    pathlib.Path
        The EDF file, present or not.
    """
    return root / _LAYOUT / _published_name(subject, run)


def fetch(root, recordings, force=False):
    """Download from PhysioNet the recordings that are missing.

    Parameters
    ----------
    root : pathlib.Path
        Folder from `data_root`.
    recordings : iterable of tuple of int
        Pairs of subject and run.
    force : bool
        Download present files as well.

    Raises
    ------
    FileNotFoundError
        If a missing file cannot be downloaded.
    """
    wanted = [pair for pair in recordings if force or not recording_path(root, *pair).is_file()]
    # The bar is for downloads alone: nothing is printed when there is nothing to wait for.
    bar = tqdm(wanted, desc="EEGMMI from PhysioNet", unit="file", disable=not wanted)
    for done, (subject, run) in enumerate(bar):
        try:
            mne.datasets.eegbci.load_data(
                subject, run, path=root, force_update=force, update_path=False, verbose="ERROR"
            )
        except (OSError, ValueError) as error:
            _remove_empty_folders(root, recording_path(root, subject, run).parent)
            raise FileNotFoundError(_missing_message(root, wanted[done:], error)) from error


def verify(file, subject, run):
    """Refuse a file that is not, to the bit, the one that PhysioNet published.

    Parameters
    ----------
    file : pathlib.Path
        The file to check.
    subject : int
        Subject, from 1.
    run : int
        Run, from 1.

    Raises
    ------
    ValueError
        If the checksum differs from the published one; says what is wrong with the file.
    """
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    expected = _published_checksums()[_published_name(subject, run)]
    if found != expected:
        raise ValueError(
            f"{file} is not the recording that PhysioNet published: it {_fault(content)}. "
            f"Expected sha256 {expected}, found {found}. Delete the file to have it downloaded "
            "again."
        )


def _published_name(subject, run):
    """Return the name of a recording on PhysioNet, which is its name below the data folder."""
    return f"S{subject:03d}/S{subject:03d}R{run:02d}.edf"


@lru_cache(maxsize=1)
def _published_checksums():
    """Return the sha256 of every published file, from the registry that MNE carries."""
    registry = files("mne").joinpath("data", "eegbci_checksums.txt").read_text(encoding="utf-8")
    return dict(line.split() for line in registry.splitlines() if line.strip())


def _remove_empty_folders(root, folder):
    """Undo the folders below `root` that a failed download has made."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _missing_message(root, recordings, error):
    """Say which files are missing, where they were looked for, and what to do."""
    names = [_published_name(subject, run).split("/")[1] for subject, run in recordings]
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return (
        f"Missing from {root / _LAYOUT}: {listed}; downloading from PhysioNet failed with a "
        f"{type(error).__name__}. Run the same call once with a working internet connection, or "
        "give as `path` the folder that contains an 'MNE-eegbci-data' with these recordings."
    )


def _fault(content):
    """Describe in a few words how the content of a file departs from a sound recording."""
    if not content:
        return "is empty"
    start = content[:_HEADER_BYTES].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "starts with HTML, as a web page saved in place of a recording does"
    if not content.startswith(b"0       "):
        return f"does not start with an EDF header but with {content[:8]!r}"
    promised = _size_in_header(content)
    if promised is None:
        return "has an EDF header that cannot be read"
    if len(content) < promised:
        return f"is truncated: {len(content)} bytes where its header promises {promised}"
    if len(content) > promised:
        return f"is too long: {len(content)} bytes where its header promises {promised}"
    return "has the right size but altered content"


def _size_in_header(content):
    """Return the size in bytes that an EDF header implies, or None if it cannot be read."""
    try:
        header_bytes, n_records, n_signals = (
            int(content[start:stop]) for start, stop in ((184, 192), (236, 244), (252, 256))
        )
        # Per-signal fields come field by field; 216 bytes of them precede the sample counts.
        first = _HEADER_BYTES + 216 * n_signals
        samples = [int(content[first + 8 * k : first + 8 * k + 8]) for k in range(n_signals)]
    except ValueError:
        return None
    return header_bytes + 2 * n_records * sum(samples)

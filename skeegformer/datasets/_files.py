"""Finding, fetching and checking the files of the EEG Motor Movement/Imagery Dataset."""

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import mne
from tqdm.auto import tqdm

_LAYOUT = Path("MNE-eegbci-data", "files", "eegmmidb", "1.0.0")


def data_root(path=None):
    """Return the folder that holds, or shall hold, ``MNE-eegbci-data``.

    None asks MNE's settings ``MNE_DATASETS_EEGBCI_PATH`` and ``MNE_DATA``, and falls back on
    ``~/mne_data``. Nothing is created and no setting is written.
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
    """Return where the EDF file of one run lies below the folder from `data_root`, or would."""
    return root / _LAYOUT / _published_name(subject, run)


def fetch(root, recordings, force=False):
    """Download from PhysioNet the recordings (subject, run) that are missing.

    MNE compares the checksums of what it downloads. `force` downloads present files as well.
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


def fetch_tasks(tasks, subjects, path=None, *, verify=False):
    """Download what is missing of some tasks and subjects; return the folder of the data."""
    root = data_root(path)
    recordings = [(subject, run) for task in tasks for subject in subjects for run in task.runs]
    fetch(root, recordings)
    if verify:
        verify_files(root, recordings)
    return root


def verify_files(root, recordings):
    """Refuse recordings (subject, run) that are not, to the bit, those that PhysioNet published."""
    published = published_checksums()
    for pair in recordings:
        file, expected = recording_path(root, *pair), published[_published_name(*pair)]
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        if found != expected:
            raise ValueError(
                f"{file} is not the recording that PhysioNet published: expected sha256 "
                f"{expected}, found {found}. Delete the file to have it downloaded again."
            )


@lru_cache(maxsize=1)
def published_checksums():
    """Return the sha256 of every published file, from the registry that MNE carries."""
    registry = files("mne").joinpath("data", "eegbci_checksums.txt").read_text(encoding="utf-8")
    return dict(line.split() for line in registry.splitlines() if line.strip())


def _published_name(subject, run):
    """Return the name of a recording on PhysioNet, which is its name below the data folder."""
    return f"S{subject:03d}/S{subject:03d}R{run:02d}.edf"


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

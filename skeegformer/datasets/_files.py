"""Finding and fetching the files of the EEG Motor Movement/Imagery Dataset."""

from contextlib import suppress
from pathlib import Path

import mne
from tqdm.auto import tqdm

_LAYOUT = Path("MNE-eegbci-data", "files", "eegmmidb", "1.0.0")


def data_root(path=None):
    """Return the folder that holds, or shall hold, the data; None asks MNE's settings."""
    settings = {name: mne.get_config(name) for name in ("MNE_DATASETS_EEGBCI_PATH", "MNE_DATA")}
    given = {name: value for name, value in {"path": path, **settings}.items() if value}
    if not given:
        return Path("~/mne_data").expanduser()
    origin, chosen = next(iter(given.items()))
    root = Path(chosen).expanduser().absolute()
    if not root.is_dir():
        raise FileNotFoundError(
            f"{origin} names {str(chosen)!r}, which is not an existing folder. Create it, or name "
            "the folder that contains, or shall contain, 'MNE-eegbci-data'."
        )
    return root


def recording_path(root, subject, run):
    """Return where the EDF file of one run lies below the folder from `data_root`, or would."""
    return root / _LAYOUT / f"S{subject:03d}" / f"S{subject:03d}R{run:02d}.edf"


def fetch(root, recordings):
    """Download from PhysioNet the recordings (subject, run) that are missing; MNE checks them."""
    wanted = [pair for pair in recordings if not recording_path(root, *pair).is_file()]
    # The bar is for downloads alone: nothing is printed when there is nothing to wait for.
    bar = tqdm(wanted, desc="EEGMMI from PhysioNet", unit="file", disable=not wanted)
    for done, (subject, run) in enumerate(bar):
        try:
            mne.datasets.eegbci.load_data(
                subject, run, path=root, update_path=False, verbose="ERROR"
            )
        except (OSError, ValueError) as error:
            with suppress(OSError):  # an empty folder that MNE has made
                recording_path(root, subject, run).parent.rmdir()
            names = [recording_path(root, *pair).name for pair in wanted[done:]]
            more = f" and {len(names) - 8} more" if len(names) > 8 else ""
            raise FileNotFoundError(
                f"Missing from {root / _LAYOUT}: {', '.join(names[:8])}{more}; downloading from "
                f"PhysioNet failed with a {type(error).__name__}. Run the same call once with a "
                "working internet connection, or give as `path` the folder that contains an "
                "'MNE-eegbci-data' with these recordings."
            ) from error


def fetch_tasks(tasks, subjects, path=None):
    """Download what is missing of some tasks and subjects; return the folder of the data."""
    root = data_root(path)
    fetch(root, [(subject, run) for task in tasks for subject in subjects for run in task.runs])
    return root

"""Where electrodes are, and which of them are neighbours."""

import mne
import numpy as np
from scipy.spatial import QhullError

from skeegformer.preprocessing._interpolation import has_position


def check_scalp(info, what):
    """Refuse channels whose positions are not all known, or that are not on the scalp."""
    if info is None or not has_position(info).all():
        raise ValueError(
            f"{what} needs electrode positions in metres: fit on Epochs with a montage "
            "(epochs.set_montage), or give explain an info=."
        )
    kinds = sorted(set(info.get_channel_types()) - {"eeg"})
    if kinds:
        raise ValueError(
            f"{what} needs neighbours on the scalp, but there are channels of the type "
            f"{', '.join(kinds)}: pick the EEG channels, or say which are neighbours."
        )


def find_adjacency(info, what):
    """Find neighbours by Delaunay triangulation: an array of bool of (n_chans, n_chans)."""
    check_scalp(info, what)
    try:
        with mne.utils.use_log_level("ERROR"):
            adjacency, names = mne.channels.find_ch_adjacency(info, "eeg")
    except (QhullError, ValueError) as error:
        raise ValueError(
            f"The neighbours of {len(info.ch_names)} channels cannot be found by triangulation, "
            "which needs at least 3 that are not in a line, and none where another one is: drop "
            "what is there twice, or say which are neighbours."
        ) from error
    order = [names.index(name) for name in info.ch_names]
    return adjacency.toarray().astype(bool)[np.ix_(order, order)]

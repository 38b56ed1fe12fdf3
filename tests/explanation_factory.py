"""Explanations of known values, for tests of what is made of them."""

import numpy as np

from skeegformer import Explanation

_ROWS = "Fp1 Fpz Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 CP3 CP4 P7 P3 Pz P4 P8 O1 Oz O2"
CH_NAMES = _ROWS.split()


def make_info(ch_names=CH_NAMES):
    """Return an Info with template positions."""
    import mne

    info = mne.create_info(list(ch_names), 100.0, "eeg")
    with mne.utils.use_log_level("ERROR"):
        return info.set_montage("standard_1005")


def make_explanation(method="rollout", *, parts=("epoch",), part_kind="time", named=True):
    """Return an explanation of 4 subjects with 6 epochs each, of classes "left" and "right"."""
    rng = np.random.default_rng(0)
    n_epochs, n_chans = 24, len(CH_NAMES)
    y = np.array(["left", "right"] * 12)
    values = rng.random((n_epochs, n_chans, len(parts)))
    values[y == "left", CH_NAMES.index("C4")] += 4
    values[y == "right", CH_NAMES.index("C3")] += 4
    values /= values.sum(axis=(1, 2), keepdims=True)
    if method != "rollout":
        values -= 0.05
    connections = rng.dirichlet(np.ones(n_chans), size=(n_epochs, n_chans)) / 2
    return Explanation(
        token_values=values,
        probabilities=rng.dirichlet([1, 1], size=n_epochs),
        classes=np.array(["left", "right"]),
        y=y,
        ch_names=list(CH_NAMES) if named else None,
        info=make_info() if named else None,
        method=method,
        parts=tuple(parts),
        part_kind=part_kind,
        subjects=np.repeat([3, 5, 8, 9], 6),
        connections=connections + np.eye(n_chans) / 2,
    )

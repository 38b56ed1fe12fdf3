"""Explanations of known values, for tests of what is made of them."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd

from skeegformer import Explanation

TIMES = ("0.00-0.67 s", "0.67-1.33 s", "1.33-2.00 s")
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


def make_curves(n_chans=64):
    """Return curves of deletion and insertion: straight lines from 1 to an end of their own."""
    fraction = np.array([0.0, 0.5, 1.0])
    ends = {"explanation": 0.4, "random": 0.8, "oracle": 0.2}
    frames = [
        pd.DataFrame({"curve": curve, "order": order, "n_channels": n_chans * fraction})
        .assign(mean=1 - fraction * (1 - end))
        .assign(low=lambda frame: frame["mean"] - 0.1, high=lambda frame: frame["mean"] + 0.1)
        for curve in ("insertion", "deletion")
        for order, end in ends.items()
    ]
    return pd.concat(frames, ignore_index=True)


class Page(HTMLParser):
    """The elements of a page, and the addresses that a browser would load."""

    def __init__(self, page):
        super().__init__()
        self.addresses, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        names = ("src", "srcset", "data", "poster") + (("href",) if tag == "link" else ())
        self.addresses += [attributes[name] for name in names if attributes.get(name)]


def full_explanation(info):
    """Return one with every field but the model, of 12 epochs and three classes."""
    rng = np.random.default_rng(0)
    info = info.copy()
    info["bads"] = ["Fp1"]
    n_epochs, n_chans, classes = 12, len(info["ch_names"]), np.array(["feet", "left", "right"])
    return Explanation(
        token_values=rng.normal(size=(n_epochs, n_chans, len(TIMES))),
        probabilities=rng.dirichlet(np.ones(3), size=n_epochs).astype(np.float32),
        classes=classes,
        y=np.repeat(classes, 4),
        ch_names=list(info["ch_names"]),
        info=info,
        method="integrated-gradients",
        parts=TIMES,
        targets=rng.choice(classes, n_epochs),
        subjects=np.tile([1, 2, 3, 4], 3),
        connections=rng.normal(size=(n_epochs, n_chans, n_chans)).astype(np.float32),
        settings={"method": "integrated-gradients", "n_repeats": np.int64(5), "bands": None},
    )

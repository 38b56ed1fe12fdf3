"""Where on the scalp a channel lies, by its name in the 10-20 system and its extensions."""

import re

import numpy as np

REGIONS = ("frontal", "central", "temporal", "parietal", "occipital", "other")
HEMISPHERES = ("left", "midline", "right", "unknown")

# The rows of the 10-10 and 10-5 systems from front to back, by region. A row of 10-5 lies between
# two of 10-10 and bears both their names; it is counted with the one in front.
_ROWS = {
    "frontal": ("N", "FP", "AFP", "AF", "AFF", "F", "FFC", "FFT"),
    "central": ("FC", "FCC", "C", "CCP", "CP", "CPP"),
    "temporal": ("FT", "FTT", "T", "TTP", "TP", "TPP"),
    "parietal": ("P", "PPO"),
    "occipital": ("PO", "POO", "O", "OI", "I"),
}
_ROW_ORDER = [row for rows in _ROWS.values() for row in rows]
_REGION_OF_ROW = {row: region for region, rows in _ROWS.items() for row in rows}


def channel_regions(ch_names):
    """Tell the region of each channel.

    Parameters
    ----------
    ch_names : sequence of str
        Names such as "Cz", "FC5" or "TPP9h", in any case, with or without EEGMMI's trailing dots.

    Returns
    -------
    list of str
        "frontal", "central" (rows FC to CP), "temporal", "parietal", "occipital" (rows PO to I),
        or "other" where the name is none of these systems.

    Examples
    --------
    >>> channel_regions(["Fp1", "Cz", "T7", "Pz", "O2", "EEG 001"])
    ['frontal', 'central', 'temporal', 'parietal', 'occipital', 'other']
    """
    return [_REGION_OF_ROW.get(row, "other") for row, _ in _parse(ch_names)]


def channel_hemispheres(ch_names):
    """Tell the side of each channel.

    Parameters
    ----------
    ch_names : sequence of str
        Channel names.

    Returns
    -------
    list of str
        "left" (odd numbers), "midline" (z), "right" (even numbers), or "unknown" where the
        region is "other".

    Examples
    --------
    >>> channel_hemispheres(["C3", "Cz", "C4", "EEG 001"])
    ['left', 'midline', 'right', 'unknown']
    """
    return [_hemisphere(number) for _, number in _parse(ch_names)]


def region_order(ch_names):
    """Order channels by region, then from left to right, then from front to back.

    Parameters
    ----------
    ch_names : sequence of str or None
        Channel names.

    Returns
    -------
    ndarray of int of shape (n_chans,)
        Indices into `ch_names`; those of region "other" come last, in the order given.

    Examples
    --------
    >>> names = ["O1", "Cz", "C4", "C3", "EEG 001", "Fz"]
    >>> [names[i] for i in region_order(names)]
    ['Fz', 'C3', 'Cz', 'C4', 'O1', 'EEG 001']
    """

    def key(i):
        row, number = parsed[i]
        if row is None:
            return (len(_ROW_ORDER),)
        region = REGIONS.index(_REGION_OF_ROW[row])
        side = HEMISPHERES.index(_hemisphere(number))
        # Numbers grow with the distance from the midline, on both sides.
        outward = -number if side == 0 else number
        return region, side, _ROW_ORDER.index(row), outward

    parsed = _parse(ch_names)
    return np.array(sorted(range(len(parsed)), key=key), dtype=int)


def _hemisphere(number):
    """Tell the side of a number: 0 is the midline, None no number."""
    if number is None:
        return "unknown"
    return "midline" if number == 0 else ("right", "left")[number % 2]


def _parse(ch_names):
    """Split names into row and number; (None, None) for what is not of these systems."""
    names = [str(name).strip().rstrip(".").upper() for name in ch_names]
    if any(re.fullmatch(r"[BD]\d+", name) for name in names):
        # BioSemi's own A1 to D32, in which C3 is no electrode of the 10-20 system.
        return [(None, None)] * len(names)
    parsed = []
    for name in names:
        match = re.fullmatch(r"([A-Z]+?)(Z|10|[1-9])H?", name)
        known = match is not None and match[1] in _REGION_OF_ROW
        number = None if not known else 0 if match[2] == "Z" else int(match[2])
        parsed.append((match[1] if known else None, number))
    return parsed

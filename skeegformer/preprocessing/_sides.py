"""Left and right: partners of channels, and classes that turn into each other."""

import re
import warnings
from contextlib import suppress

import numpy as np

from skeegformer._utils.info import electrode_montage
from skeegformer._validation import check_info, listed, validate_ch_names
from skeegformer.preprocessing._interpolation import has_position, positions

# What recordings put around the name of an electrode: "EEG C3-Ref", "EEG C3-LE", "C3..".
_ELECTRODE = re.compile(
    r"(?:eeg[\s:_-]*)?([a-z]+)(z|\d+)(h?)\.*(?:[\s:_-](?:ref|le|avg?|car))?", re.IGNORECASE
)
_MORE_ELECTRODES = {"t1", "t2", "cb1", "cb2", "o9", "o10"}  # in use, but not in MNE's montage
_INTRACRANIAL = {"seeg", "ecog", "dbs"}
_REACH = 0.02  # how far in metres an electrode may be from the mirror image of its partner
# The same for partners by name, whose places were perhaps measured on a head; and how far an
# electrode of one side may lie on the other one.
_REACH_BY_NAME, _ACROSS = 0.04, 0.015
_SIDE = re.compile("left|right", re.IGNORECASE)
_OTHER_SIDE = {"left": "right", "right": "left"}
# A side that stands as a word of its own: left-fist, left_hand, LeftHand, but not cleft or bright.
_SIDE_AS_WORD = re.compile(
    r"(?<![A-Za-z])(left|right|LEFT|RIGHT)(?![A-Za-z])|(?<![A-Z])(Left|Right)(?![a-z])"
)


def mirror_pairs(channels):
    """Find the partner of each channel on the other side of the head.

    C3 and C4 are partners, and Cz is its own. Partners are found by name if all names belong to the
    10-20, 10-10 and 10-05 systems ("EEG C3-Ref" and "C3.." are read as C3) and do not contradict
    known positions. Otherwise, as for the caps of EGI and BioSemi, they are found by position.

    Parameters
    ----------
    channels : sequence of str or mne.Info
        Channel names, or an Info with electrode positions for names that are not conclusive.

    Returns
    -------
    dict of str to str
        The partner of each channel, in the order of `channels`.

    Raises
    ------
    ValueError
        If a channel has no partner or is inside the head, or if positions are unknown and names
        could also be those of a grid, such as C1 to C4 alone.

    Examples
    --------
    >>> from skeegformer.preprocessing import mirror_pairs
    >>> mirror_pairs(["C3", "Cz", "C4"])
    {'C3': 'C4', 'Cz': 'Cz', 'C4': 'C3'}
    """
    info = channels if hasattr(channels, "ch_names") else None
    check_info(info)
    names = validate_ch_names(channels if info is None else info["ch_names"], "channels")
    inside = set() if info is None else _INTRACRANIAL & set(info.get_channel_types())
    if inside:
        raise ValueError(
            f"Channels of type {', '.join(sorted(inside))} have no partner on the other side of "
            "the head: only EEG can be mirrored. Pass EEG channels, or do not mirror."
        )
    places = {}
    if info is not None:
        located = zip(names, positions(info), has_position(info), strict=True)
        places = {name: place for name, place, is_known in located if is_known}
    pairs, problem = _pairs_by_name(names, places)
    if problem is None:
        return pairs
    unknown = [name for name in names if name not in places]
    if unknown:
        which = f"of {', '.join(unknown[:5])} " if places else ""
        raise ValueError(
            f"{problem} (C3 and C4 are partners, Cz stays), and positions {which}are not known: "
            "drop what has no partner or is no EEG, rename channels, or pass Epochs with a montage."
        )
    return _pairs_by_position(names, np.array(list(places.values())))


def mirror_classes(classes):
    """Find the classes that turn into each other when left and right are exchanged.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        Labels; labels other than text name no side.

    Returns
    -------
    dict or None
        For example, the partner ``"right-fist"`` for ``"left-fist"`` and vice versa, without
        classes that keep their label. None if no class names a side.

    Raises
    ------
    ValueError
        If a class names a side but the class of the other side is missing, so that its mirrored
        epochs have no label.

    Examples
    --------
    >>> from skeegformer.preprocessing import mirror_classes
    >>> mirror_classes(["feet", "left-fist", "right-fist"])
    {'left-fist': 'right-fist', 'right-fist': 'left-fist'}
    >>> mirror_classes(["eyes-closed", "eyes-open"]) is None
    True
    """
    names = [name for name in np.asarray(classes).tolist() if isinstance(name, str)]
    spelt = {name.strip().casefold(): name for name in names}  # "Left" has the partner "right "
    if len(spelt) < len(set(names)):
        spelt = {name: name for name in names}
    exchanged = {name: _SIDE.sub(_exchange, name) for name in spelt}
    partners = {spelt[a]: spelt[b] for a, b in exchanged.items() if a != b and b in spelt}
    alone = [a for a in names if a not in partners and _SIDE_AS_WORD.search(a)]
    if alone:
        raise ValueError(
            f"The mirror image of class {alone[0]!r} is {_SIDE.sub(_exchange, alone[0])!r}, which "
            f"is not among the classes {', '.join(map(repr, names))}; name the pairs yourself in "
            "swap, such as swap={'left': 'right'}, or do not mirror."
        )
    return partners or None


def find_mirror_image(mirror, classes, ch_names, info):
    """Find each channel's partner and what each label becomes, or None where none is mirrored."""
    asked = not isinstance(mirror, str) or mirror != "auto"
    swap = mirror if asked else None
    if not asked:
        with suppress(ValueError):  # a class whose other side is not there
            swap = mirror_classes(classes)
    if swap is None and not asked and ch_names is not None:
        _warn_of_numbers(classes, info or ch_names)
    if swap is None or (ch_names is None and not asked):
        return None, None
    becomes = check_swap("mirror", swap, classes.tolist())
    if ch_names is None:
        raise ValueError(
            "mirror needs to know which channels are left and which right; pass Epochs, or "
            "mirror=None."
        )
    try:
        partners = mirror_pairs(info or ch_names)
    except ValueError as error:  # a channel whose other side is not there
        if asked:
            raise
        warnings.warn(f"No epoch is mirrored. {error}", UserWarning, stacklevel=4)
        return None, None
    pairs = partner_order(partners, ch_names)
    if is_own_image(pairs):
        if swap and asked:
            raise ValueError(
                f"mirror={mirror!r} cannot exchange left and right of channels that are all on "
                f"the midline ({listed(ch_names)}): each epoch would be trained with both "
                "labels. Pass channels of both sides, or mirror=None."
            )
        return None, None
    return pairs, becomes


def _warn_of_numbers(classes, channels):
    """Say that labels that are numbers, of events or of a label encoder, name no sides."""
    if classes.dtype.kind not in "iuf":
        return
    try:
        pairs = mirror_pairs(channels)
    except ValueError:
        return
    if any(name != partner for name, partner in pairs.items()):
        warnings.warn(
            f"No epoch is mirrored, since the labels {', '.join(map(str, classes.tolist()))} do "
            "not tell left from right: if they stand for sides, pass text such as 'left' and "
            "'right', or mirror as a dict of these numbers (VotingClassifier, OneVsRestClassifier, "
            "MOABB and others encode labels); mirror=None says that nothing is to be mirrored.",
            stacklevel=4,
        )


def check_swap(name, swap, labels):
    """Complete the pairs of labels that mirroring exchanges: each label, and what it becomes."""
    if not isinstance(swap, dict):
        raise ValueError(
            f"{name}={swap!r} is not 'auto' or a dict such as {{'left': 'right'}}; pass {{}} where "
            "all labels stay."
        )
    unknown = [label for pair in swap.items() for label in pair if label not in labels]
    if unknown:
        raise ValueError(f"{name} names the class {unknown[0]!r}, but there are {labels}.")
    both = {b: a for a, b in swap.items()} | swap
    if any(both[b] != a for a, b in both.items()):
        raise ValueError(f"{name}={swap!r} gives a class two partners; name one for each.")
    return {label: both.get(label, label) for label in labels}


def partner_order(pairs, names):
    """Index the partner of each name; those that `pairs` lacks are their own."""
    return np.array([names.index(pairs.get(name, name)) for name in names])


def is_own_image(order):
    """Tell whether each channel is its own partner, so that mirroring changes nothing."""
    return bool((order == np.arange(len(order))).all())


def _pairs_by_name(names, places):
    """Pair electrodes by name; what speaks against it, if anything, is the second value."""
    known = {name.lower() for name in electrode_montage().ch_names} | _MORE_ELECTRODES
    electrodes = {}
    for name in names:
        match = _ELECTRODE.fullmatch(name)
        parts = None if match is None else tuple(part.lower() for part in match.groups())
        if parts is not None and "".join(parts) in known:
            electrodes[parts] = name
    pairs = {name: electrodes.get(_other_side(*parts)) for parts, name in electrodes.items()}
    pairs = {name: pairs.get(name) for name in names}
    alone = [name for name, partner in pairs.items() if partner is None]
    if alone:
        have = "has" if len(alone) == 1 else "have"
        return pairs, f"{listed(alone)} {have} no partner on the other side by name"
    rows = {}
    for region, number, half in electrodes:
        rows.setdefault(region + half, set()).add(number)
    # Rows of a grid, shafts and regions of a BioSemi cap are named like this, and not by sides.
    is_counted = all(row == {str(n + 1) for n in range(len(row))} for row in rows.values())
    if is_counted and max(map(len, rows.values())) > 3 and len(places) < len(names):
        return pairs, f"{listed(names)} may as well be contacts of a grid, without sides"
    for (_, number, _), name in electrodes.items():
        if name not in places or pairs[name] not in places:
            continue
        distance = np.linalg.norm(places[name] * [-1, 1, 1] - places[pairs[name]])
        side = 0 if number == "z" else -1 if int(number) % 2 else 1
        if distance > _REACH_BY_NAME or (side and side * places[name][0] < -_ACROSS):
            return pairs, f"{name} and {pairs[name]} are partners by name, but not by position"
    return pairs, None


def _other_side(region, number, half):
    """Name the electrode on the other side."""
    if number != "z":
        number = str(int(number) + 1 if int(number) % 2 else int(number) - 1)
    return region, number, half


def _pairs_by_position(names, positions):
    """Pair electrodes with those nearest to their mirror images."""
    images = positions * [-1, 1, 1]
    distances = np.linalg.norm(images[:, np.newaxis] - positions, axis=-1)
    nearest = distances.argmin(axis=1)
    every = np.arange(len(names))
    found = (distances[every, nearest] <= _REACH) & (nearest[nearest] == every)
    if not found.all():
        alone = [name for name, is_found in zip(names, found, strict=True) if not is_found]
        raise ValueError(
            f"{listed(alone)} {'has' if len(alone) == 1 else 'have'} no partner on the other "
            f"side: neither by name, nor an electrode within {100 * _REACH:g} cm of the mirror "
            "image of the position; drop these channels."
        )
    return {name: names[other] for name, other in zip(names, nearest, strict=True)}


def _exchange(match):
    """Write the other side in the same mixture of capitals."""
    found = match.group()
    other = _OTHER_SIDE[found.lower()]
    if found.isupper():
        return other.upper()
    return other.capitalize() if found[0].isupper() else other

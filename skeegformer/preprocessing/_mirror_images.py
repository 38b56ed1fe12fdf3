"""Which channels and classes change places when a classifier mirrors epochs."""

import warnings

from skeegformer.preprocessing._sides import (
    check_swap,
    is_own_image,
    mirror_classes,
    mirror_pairs,
    partner_order,
)


def find_mirror_image(mirror, classes, ch_names, info):
    """Find each channel's partner and the label that each becomes, or None where none is mirrored.

    `mirror` is the parameter of `EEGTransformerClassifier`. Returns an ndarray of int of shape
    (n_chans,) and a dict, or None twice.
    """
    asked = not isinstance(mirror, str) or mirror != "auto"
    swap = mirror if asked else _swap_by_names(classes)
    if swap is None and not asked and ch_names is not None:
        _warn_of_numbers(classes, info or ch_names)
    if swap is None or (ch_names is None and not asked):
        return None, None
    if not isinstance(swap, dict):
        raise ValueError(f"mirror={mirror!r} is not a dict of labels, 'auto' or None.")
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
                f"the midline ({', '.join(ch_names)}): each epoch would be trained with both "
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
            UserWarning,
            stacklevel=4,
        )


def _swap_by_names(classes):
    """Read from the names of classes which change places, or None."""
    try:
        return mirror_classes(classes)
    except ValueError:  # a class whose other side is not there
        return None

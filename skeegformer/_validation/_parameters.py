"""Checks of parameters, channel names among them."""

from numbers import Integral, Real

import numpy as np


def check_one_of(name, value, allowed):
    """Refuse a parameter that is none of its allowed values."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}.")


def check_count(name, value, least):
    """Refuse what is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r} is not a whole number of at least {least}.")


def check_number(estimator, name, kind, least, *, below=np.inf, or_else=None):
    """Refuse a parameter of an estimator that is no number of this kind, or out of its range.

    `kind` is `numbers.Integral` or `numbers.Real`, perhaps with others; `or_else` says in the
    message what else is allowed.
    """
    value = getattr(estimator, name)
    is_bool = isinstance(value, bool) and kind is not Real and bool not in np.ravel(kind)
    if isinstance(value, kind) and not is_bool and least <= value < below:
        return
    what = "a whole number" if kind is not Real else "a number"
    limits = f"at least {least}" + (f" and below {below}" if below < np.inf else "")
    raise ValueError(
        f"{name}={value!r} has to be {what} of {limits}" + (f", or {or_else}." if or_else else ".")
    )


def name_channels(ch_names, n_chans):
    """Make a list of the names of channels; "channel 0" and so on where `ch_names` is None."""
    if ch_names is None:
        return [f"channel {i}" for i in range(n_chans)]
    names = [str(name) for name in ch_names]
    if len(names) != n_chans:
        raise ValueError(f"There are values of {n_chans} channels, but {len(names)} names.")
    return names


def validate_ch_names(ch_names, parameter):
    """Make a list of the channel names that a parameter holds; none may occur twice."""
    ch_names = [ch_names] if isinstance(ch_names, str) else list(ch_names)
    for ch_name in ch_names:
        if not isinstance(ch_name, str):
            raise ValueError(
                f"{parameter} has {ch_name!r}, but has to be a list of channel names such as "
                "['Cz', 'Pz']."
            )
    twice = sorted({ch_name for ch_name in ch_names if ch_names.count(ch_name) > 1})
    if twice:
        raise ValueError(
            f"{parameter} has channels that occur twice: {', '.join(twice)}; name each one once."
        )
    return ch_names

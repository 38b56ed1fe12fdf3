"""Checks of parameters, channel names among them."""

from numbers import Integral, Real

import mne
import numpy as np
import pandas as pd

# Filters of fewer cycles are singular, or take all memory.
_LEAST_CYCLES = 1e-3


def check_one_of(name, value, allowed):
    """Refuse a parameter that is none of its allowed values."""
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}.")


def check_count(name, value, least):
    """Refuse what is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}={value!r} is not a whole number of at least {least}.")


def check_positive(name, value, or_zero=False, unit=""):
    """Refuse what is no finite number above 0; return it as a float."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value < np.inf or (value == 0 and not or_zero):
        limit = "of at least 0" if or_zero else "above 0"
        raise ValueError(f"{name}={value!r} has to be a number {limit}{unit}.")
    return float(value)


def check_number(estimator, name, kind, least, *, below=np.inf, or_else=None):
    """Refuse a parameter of an estimator that is no number of this kind, or out of its range."""
    # `kind` is `numbers.Integral` or `numbers.Real`, perhaps with others; `or_else` says in the
    # message what else is allowed.
    value = getattr(estimator, name)
    is_bool = isinstance(value, bool) and kind is not Real and bool not in np.ravel(kind)
    if isinstance(value, kind) and not is_bool and least <= value < below:
        return
    what = "a whole number" if kind is not Real else "a number"
    limits = f"at least {least}" + (f" and below {below}" if below < np.inf else "")
    raise ValueError(
        f"{name}={value!r} has to be {what} of {limits}" + (f", or {or_else}." if or_else else ".")
    )


def in_channel_order(values, names):
    """Put a Series, or columns, that have the names of channels in their order, as arrays have."""
    if not isinstance(values, pd.Series | pd.DataFrame) or names is None:
        return values
    own = values.columns if values.ndim == 2 else values.index
    if set(own) == set(names):
        return values[list(names)]
    if all(isinstance(name, str) for name in own):
        raise ValueError(f"Values of {listed(list(own))} are not those of {listed(list(names))}.")
    return values


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


def listed(names, most=5):
    """Write names in a row, not too many of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def check_info(info):
    """Refuse what has channel names but is no Info, such as Epochs and montages."""
    if info is not None and not isinstance(info, mne.Info):
        raise TypeError(f"info is a {type(info).__name__}, not a mne.Info such as epochs.info.")


def positive(parameter, value):
    """Refuse what is no frequency above 0; return it as a float."""
    return check_positive(parameter, value, unit=", in Hz")


def optional_positive(parameter, value, meaning_of_none):
    """Refuse what is no frequency above 0, unless it is None."""
    try:
        return None if value is None else positive(parameter, value)
    except ValueError as error:
        raise ValueError(f"{error} None means {meaning_of_none}.") from None


def refuse_slow(what, freqs, seconds):
    """Refuse frequencies, or widths of bands, far below one cycle in so many seconds."""
    for freq in freqs:
        if freq < _LEAST_CYCLES / seconds:
            raise ValueError(
                f"{what} has to be at least {_LEAST_CYCLES / seconds:.3g} Hz for a signal of "
                f"{seconds:.3g} s, but there is {freq:.3g} Hz."
            )


def check_band(l_freq, h_freq, sfreq=None, seconds=None):
    """Refuse limits that are not above 0, leave nothing between them, or exceed any frequency."""
    # MNE would take an upper limit of 0 for another filter, and an empty band for a band stop.
    optional_positive("l_freq", l_freq, "no lower limit")
    optional_positive("h_freq", h_freq, "no upper limit")
    if l_freq is not None and h_freq is not None and l_freq >= h_freq:
        raise ValueError(
            f"l_freq ({l_freq:.9g} Hz) has to be below h_freq ({h_freq:.9g} Hz), or else the pass "
            "band is empty; to remove a band use NotchFilter."
        )
    for name, freq in {"l_freq": l_freq, "h_freq": h_freq}.items():
        if sfreq is not None and freq is not None and freq >= sfreq / 2:
            raise ValueError(
                f"{name} is {freq:.9g} Hz, but a signal sampled at {sfreq:g} Hz only has "
                f"frequencies below {sfreq / 2:g} Hz; choose a lower one or None."
            )
    if seconds is not None:
        limits = [freq for freq in (l_freq, h_freq) if freq is not None]
        limits += np.diff(limits).tolist()
        refuse_slow("Each of l_freq, h_freq and h_freq - l_freq", limits, seconds)

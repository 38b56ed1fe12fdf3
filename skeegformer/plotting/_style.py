"""What all figures share: colours, limits, axes, and labels of scalp regions."""

from itertools import pairwise

import numpy as np

from skeegformer.plotting._regions import REGIONS, channel_regions, region_order

SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"
# Okabe and Ito's palette, which colour-blind readers can tell apart.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
GREY = "#999999"
REGION_COLOURS = dict(zip(REGIONS, (*OKABE_ITO[:5], GREY), strict=True))
_MOST_NAMES = 32  # channel names that are legible beside each other on an axis


def joint_limits(arrays, *, symmetric):
    """Return colour limits that fit all arrays; NaN does not count.

    Parameters
    ----------
    arrays : iterable of ndarray
        What shares the limits.
    symmetric : bool
        Whether 0 is in the middle.

    Returns
    -------
    tuple of (float, float)
        The limits, never equal.
    """
    everything = np.concatenate([np.ravel(array) for array in arrays])
    low, high = float(np.nanmin(everything)), float(np.nanmax(everything))
    if symmetric:
        high = max(abs(low), abs(high)) or 1.0
        return -high, high
    if low == high:
        margin = 0.05 * abs(low) or 1.0
        return low - margin, high + margin
    return low, high


def choose_looks(values, differences, *, signed, cmap, vlim):
    """Return a colour map and limits for each of some maps, and of differences between them.

    Parameters
    ----------
    values : list of ndarray
        Maps with joint limits.
    differences : list of ndarray
        Differences, with joint limits of their own.
    signed : bool
        Whether values may be negative.
    cmap : str or matplotlib.colors.Colormap or None
        Colours of the values that the user asked for.
    vlim : tuple of (float, float) or None
        Limits of the values that the user asked for.

    Returns
    -------
    list of tuple
        (colour map, limits) of each.
    """
    if vlim is None:
        vlim = joint_limits(values, symmetric=signed)
    elif not vlim[0] < vlim[1]:
        raise ValueError(f"vlim={vlim!r} has to be a lower and a higher limit.")
    looks = [(cmap or (DIVERGING if signed else SEQUENTIAL), vlim)] * len(values)
    if differences:
        looks += [(DIVERGING, joint_limits(differences, symmetric=True))] * len(differences)
    return looks


def open_axes(ax, n_axes, **kwargs):
    """Return `n_axes` axes: those given, or the panels of a new figure in reading order.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, sequence of them or None
        What the user gave.
    n_axes : int
        How many are needed.
    **kwargs : dict
        Passed to `matplotlib.pyplot.subplots`; panels that are too many are removed.

    Returns
    -------
    ndarray of matplotlib.axes.Axes of shape (n_axes,)
        The axes.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        _, grid = plt.subplots(layout="constrained", squeeze=False, **kwargs)
        for extra in grid.ravel()[n_axes:]:
            extra.remove()
        return grid.ravel()[:n_axes]
    axes = np.ravel(ax)
    if len(axes) != n_axes:
        raise ValueError(f"There are {n_axes} panels, but {len(axes)} axes to draw on.")
    return axes


def check_finite(name, values):
    """Refuse NaN and infinity, which would leave a hole in the figure."""
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ValueError(f"{name} has {bad} values that are NaN or infinite, of {np.size(values)}.")


def order_channels(ch_names, n_chans):
    """Return the channels' order on an axis, and their regions in that order.

    Channels without names stay in their own order, and have no regions.
    """
    if ch_names is None:
        return np.arange(n_chans), None
    order = region_order(ch_names)
    regions = channel_regions([ch_names[i] for i in order])
    return order, None if set(regions) == {"other"} else regions


def label_channels(ax, axis, names, regions, *, write_names=None, colour="white"):
    """Label an axis whose positions 0, 1, ... are channels, and separate the regions.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to write.
    axis : {"x", "y"}
        Which axis.
    names : list of str
        The channels in their order on the axis.
    regions : list of str or None
        Their regions; equal ones are neighbours.
    write_names : bool or None, default=None
        Whether to write every channel's name rather than the regions'; None does so where
        there is room, or nothing else to write.
    colour : str, default="white"
        Colour of the lines between the regions.
    """
    set_ticks = getattr(ax, f"set_{axis}ticks")
    turn = {"rotation": 90} if axis == "x" else {}
    if regions is not None:
        starts = [i for i in range(len(regions)) if i == 0 or regions[i] != regions[i - 1]]
        for start in starts[1:]:
            draw = ax.axvline if axis == "x" else ax.axhline
            draw(start - 0.5, color=colour, linewidth=1.0)
    if write_names is None:
        write_names = len(names) <= _MOST_NAMES
    if write_names:
        size = "small" if len(names) <= 20 else "x-small" if len(names) <= 40 else 5
        set_ticks(range(len(names)), names, parse_math=False, fontsize=size, **turn)
    elif regions is not None:
        ends = [*starts, len(regions)]
        middles = [(low + high - 1) / 2 for low, high in pairwise(ends)]
        turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if axis == "x" else {}
        set_ticks(middles, [regions[i] for i in starts], **turn)
    ax.tick_params(axis=axis, length=2 if write_names or regions is None else 0)

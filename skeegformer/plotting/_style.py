"""What all figures share: colours and their limits, axes, captions, and files."""

import textwrap

import numpy as np

SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"
# Okabe and Ito's palette, which colour-blind readers can tell apart.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31")
GREY = "#999999"


def as_maps(values, titles, shape):
    """Bring values into the shape (n_maps, *shape), with a list of as many titles."""
    maps = np.asanyarray(values)
    if maps.dtype.kind not in "biuf":
        raise ValueError(f"The values are of type {maps.dtype}, but a figure is of real numbers.")
    maps = maps.astype(float)
    if maps.shape == shape:
        maps = maps[np.newaxis]
    if maps.shape[1:] != shape or len(maps) == 0:
        several = ", ".join(["n_maps", *map(str, shape)])
        raise ValueError(
            f"The values have shape {maps.shape}, but {shape[0]} channels need ({several}), or "
            f"{shape} for a single map."
        )
    titles = [""] * len(maps) if titles is None else list(titles)
    if len(titles) != len(maps):
        raise ValueError(f"There are {len(maps)} maps, but {len(titles)} titles.")
    check_finite("The values", np.ma.filled(maps, np.nan))
    return maps, titles


def check_finite(name, values):
    """Refuse NaN and infinity, which would leave a hole in the figure."""
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ValueError(f"{name} have {bad} that are NaN or infinite, of {np.size(values)}.")


def colour_scale(values, *, signed, vlim=None):
    """Choose a colour map, and limits that include 0 (as white where values have signs)."""
    cmap = DIVERGING if signed else SEQUENTIAL
    if vlim is not None:
        limits = np.asarray(vlim)
        numbers = limits.dtype.kind in "iuf" and np.isfinite(limits).all()
        if limits.shape != (2,) or not numbers or not limits[0] < limits[1]:
            raise ValueError(f"vlim={vlim!r} has to be a lower and a higher limit.")
        return cmap, tuple(vlim)
    low, high = min(float(np.nanmin(values)), 0.0), float(np.nanmax(values))
    if signed:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    if low == high:
        low, high = -1.0, 1.0
    return cmap, (low, high)


def open_axes(ax, n_axes, **kwargs):
    """Return so many axes: those given, or the panels of a new figure in reading order."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, grid = plt.subplots(layout="constrained", squeeze=False, **kwargs)
        for extra in grid.ravel()[n_axes:]:
            extra.remove()
        return grid.ravel()[:n_axes]
    axes = np.ravel(ax)
    if not all(getattr(one, "name", None) == "rectilinear" and one.figure for one in axes):
        raise TypeError(f"ax={ax!r} is no flat matplotlib.axes.Axes, nor a sequence of them.")
    if not len({*axes}) == len(axes) == n_axes:
        raise ValueError(f"There are {n_axes} panels, but {len({*axes})} axes to draw on.")
    return axes


def write_caption(figure, text):
    """Write sentences below a figure with a constrained layout, which grows by their height."""
    if not text:
        return None
    lines = textwrap.wrap(text, max(20, int(15 * figure.get_figwidth())))
    figure.set_figheight(figure.get_figheight() + 0.17 * len(lines) + 0.1)
    look = {"fontsize": "small", "ha": "left", "x": 0.02, "parse_math": False}
    return figure.supxlabel("\n".join(lines), **look)


def write_names(ax, names, places, *, offset, halo, outward=False, **look):
    """Write names above electrodes, or on their outer side, on a halo."""
    from matplotlib.patheffects import withStroke

    for name, (x, y) in zip(names, places, strict=True):
        is_below = outward and y < -0.05
        ax.annotate(
            name,
            (x, y),
            xytext=(0, -offset if is_below else offset),
            textcoords="offset points",
            ha="center",
            va="top" if is_below else "bottom",
            zorder=20,
            parse_math=False,
            path_effects=[withStroke(linewidth=2, foreground=halo)],
            **look,
        )


def is_dark(ax):
    """Tell whether a figure has a dark background."""
    from matplotlib.colors import to_rgb

    return np.mean(to_rgb(ax.figure.get_facecolor())) < 0.5


def ink():
    """Return the colour of texts, which a dark style turns white."""
    from matplotlib import rcParams

    return rcParams["text.color"]


def tidy(ax, grid="both"):
    """Take away what carries no information."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color=GREY, alpha=0.25)
    ax.set_axisbelow(True)

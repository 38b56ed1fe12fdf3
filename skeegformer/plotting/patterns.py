"""Sources of a network that learns spatial filters: where, at which frequencies, and when."""

import mne
import numpy as np

from skeegformer.plotting._electrodes import draw_map, head_layout, usable_electrodes
from skeegformer.plotting._style import (
    GREY,
    OKABE_ITO,
    colour_scale,
    open_axes,
    tidy,
    write_caption,
)

_COLUMNS = ("filter", "pattern", "frequencies", "when it counts")
_CAPTION = (
    "Each row is a source. Filter: channel weights that extract the source; a channel may have a "
    "large weight only because it removes noise. Pattern: how strongly the source shows at each "
    "channel (Haufe et al. 2014); only this can be compared with anatomy. The signs of a filter "
    "and its pattern are arbitrary and change together, and the sign of the mean with them. Each "
    "map has its own scale, symmetric about 0. Frequencies: response of the temporal filter, which "
    "is short and therefore broad, and spectrum of the source, which shows the frequency of a "
    "rhythm. Weights above 0 speak for the class named on the left."
)


def draw_patterns(sources, info, titles, ax=None):
    """Draw a row for each source: filter, pattern, spectrum and weights. Returns (n_sources, 4)."""
    kept, missing = usable_electrodes(info)
    places = head_layout(mne.pick_info(info, kept))
    n_sources = len(titles)
    axes = open_axes(
        ax,
        4 * n_sources,
        nrows=n_sources,
        ncols=4,
        figsize=(9.6, 1.75 * n_sources + 0.9),
        width_ratios=(1, 1, 1.35, 1.5),
    ).reshape(n_sources, 4)
    names = [str(name) for name in sources.classes]
    colours = dict(zip(dict.fromkeys(names), OKABE_ITO * len(names), strict=False))
    for k, (row, name, title) in enumerate(zip(axes, names, titles, strict=True)):
        pair = sources.filters[k][kept], sources.patterns[k][kept]
        images = [
            draw_map(panel, one, places, colour_scale(one, signed=True))
            for panel, one in zip(row[:2], pair, strict=True)
        ]
        place = {"transform": row[0].transAxes, "rotation": 90, "ha": "right", "va": "center"}
        look = {"color": colours[name], "weight": "bold", "ma": "center", "parse_math": False}
        row[0].text(-0.1, 0.5, f"{title}\nfor {name}", **place, **look)
    _draw_spectra(axes[:, 2], sources)
    _draw_weights(axes[:, 3], sources)
    for panel, heading in zip(axes[0], _COLUMNS, strict=True):
        panel.set_title(heading)
    figure, (low, high) = axes[0, 0].figure, images[0].get_clim()
    look = {"location": "bottom", "shrink": 0.5, "aspect": 25, "pad": 0.03}
    bar = figure.colorbar(images[0], ax=list(axes[:, :2].ravel()), ticks=[low, 0, high], **look)
    bar.ax.set_xticklabels(["−max", "0", "+max"])
    if ax is None:
        write_caption(figure, " ".join(filter(None, [_CAPTION, missing])))
    return axes


def _draw_spectra(axes, sources):
    frequencies = sources.frequencies
    curves = {
        "filter": (sources.responses, "--"),
        "source": (sources.spectra, "-"),
    }
    for row, panel in enumerate(axes):
        for label, (values, line) in curves.items():
            style = {"color": OKABE_ITO[2], "linewidth": 1.6, "label": label}
            panel.plot(frequencies, values[row], line, **style)
        panel.set_xlim(np.min(frequencies), np.max(frequencies))
        panel.set_ylabel("amplitude", fontsize="small")
        panel.set_ylim(bottom=0)
        _share_x(panel, axes[-1], "frequency (Hz)")
    axes[0].legend(fontsize="x-small", frameon=False, loc="upper right", handlelength=1.2)


def _draw_weights(axes, sources):
    """Draw weights of log power and mean; all sources on one scale, so that they compare."""
    limit, times = 1.1 * np.abs(sources.weights).max() or 1.0, sources.times
    marker = "o" if len(times) < 3 else None
    looks = (("log power", OKABE_ITO[0], "-"), ("mean", OKABE_ITO[1], "--"))
    for panel, one in zip(axes, sources.weights, strict=True):
        panel.axhline(0, color=GREY, linewidth=0.8)
        for values, (label, colour, line) in zip(one, looks, strict=True):
            style = {"color": colour, "linewidth": 1.6, "label": label, "marker": marker}
            panel.plot(times, values, line, **style)
        panel.set_ylim(-limit, limit)
        panel.set_ylabel("weight", fontsize="small")
        _share_x(panel, axes[-1], "time (s)")
    axes[0].legend(fontsize="x-small", frameon=False, ncols=2, loc="best")


def _share_x(axes, last, label):
    """Write the label of the x axis below the last row alone."""
    tidy(axes)
    axes.tick_params(labelsize="small", labelbottom=axes is last)
    if axes is last:
        axes.set_xlabel(label, fontsize="small")

"""Sources of a network that learns spatial filters: where, at which frequencies, and when."""

from dataclasses import dataclass
from typing import Any

import mne
import numpy as np

from skeegformer.plotting._electrodes import draw_map, head_layout, usable_electrodes
from skeegformer.plotting._style import (
    GREY,
    OKABE_ITO,
    as_maps,
    check_finite,
    colour_scale,
    open_axes,
    tidy,
    write_beside,
    write_caption,
)

_COLUMNS = ("filter", "pattern", "frequencies", "when it counts")
_CAPTION = (
    "Each row is a source. Filter: channel weights that extract the source; a channel may have a "
    "large weight only because it removes noise. Pattern: how strongly the source shows at each "
    "channel (Haufe et al. 2014); only this can be compared with anatomy. The signs of a filter "
    "and its pattern are arbitrary and change together, and the sign of the mean with them. Each "
    "map has its own scale, symmetric about 0. Frequencies: the response is that of a short, and "
    "therefore broad, temporal filter; the frequency of a rhythm is read from the spectrum of the "
    "source. Weights above 0 speak for the class named on the left."
)


@dataclass(eq=False, repr=False)
class PatternDisplay:
    """Filters, patterns, frequency responses and weights over time of some sources.

    Electrodes without a position, or where another one is, are left out with a warning.

    Parameters
    ----------
    sources : SourcePatterns
        Or another object with its ``filters``, ``patterns``, ``frequencies``, ``responses``,
        ``spectra``, ``times``, ``weights`` and ``classes``.
    info : mne.Info
        Electrode positions, in the order of the channels.
    titles : sequence of str or None, default=None
        Names of the sources; None numbers them.

    Attributes
    ----------
    figure_, axes_ : Figure, ndarray of matplotlib.axes.Axes of shape (n_sources, 4)
        The figure, and filter, pattern, frequency response and weights of each source.
    images_ : list of list of matplotlib.image.AxesImage
        Filter and pattern of each source.
    caption_ : str
        How to read the figure, written below a figure of its own, and which electrodes are
        missing.

    See Also
    --------
    skeegformer.Explanation.patterns : Finds the sources.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skeegformer import AttentionExplainer, EEGTransformerClassifier, make_simulated_eeg
    >>> from skeegformer.plotting import PatternDisplay
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, n_epochs=10, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=2, random_state=0).fit(X, y)
    >>> sources = AttentionExplainer().explain(classifier, X, y).patterns(n_sources=2)
    >>> PatternDisplay(sources, X.info).plot().axes_.shape
    (2, 4)
    """

    sources: Any
    info: mne.Info
    titles: list | None = None

    def plot(self, ax=None):
        """Draw the sources.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            Four for each source, row by row; None makes a figure.

        Returns
        -------
        PatternDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If arrays or axes do not fit each other, or fewer than three electrodes have a
            position.
        """
        maps, curves, weights, titles = self._check()
        kept, missing = usable_electrodes(self.info)
        places = head_layout(mne.pick_info(self.info, kept))
        n_sources = len(titles)
        self.axes_ = open_axes(
            ax,
            4 * n_sources,
            nrows=n_sources,
            ncols=4,
            figsize=(9.6, 1.75 * n_sources + 0.9),
            width_ratios=(1, 1, 1.35, 1.5),
        ).reshape(n_sources, 4)
        self.figure_ = self.axes_[0, 0].figure
        names = [str(name) for name in self.sources.classes]
        colours = dict(zip(dict.fromkeys(names), OKABE_ITO * len(names), strict=False))
        self.images_ = []
        for row, pair, name, title in zip(self.axes_, maps, names, titles, strict=True):
            self.images_.append(
                [
                    draw_map(axes, one[kept], places, colour_scale(one[kept], signed=True))
                    for axes, one in zip(row[:2], pair, strict=True)
                ]
            )
            write_beside(row[0], f"{title}\nfor {name}", color=colours[name], weight="bold")
        self._draw_spectra(curves)
        self._draw_weights(weights)
        for axes, heading in zip(self.axes_[0], _COLUMNS, strict=True):
            axes.set_title(heading)
        last = self.images_[-1][0]
        look = {"location": "bottom", "shrink": 0.5, "aspect": 25, "pad": 0.03}
        low, high = last.get_clim()
        bar = self.figure_.colorbar(
            last, ax=list(self.axes_[:, :2].ravel()), ticks=[low, 0, high], **look
        )
        bar.ax.set_xticklabels(["−max", "0", "+max"])
        self.caption_ = " ".join(filter(None, [_CAPTION, missing]))
        if ax is None:
            write_caption(self.figure_, self.caption_)
        return self

    def _check(self):
        """Bring everything into its shape: filters and patterns as (n_sources, 2, n_chans)."""
        n_chans = 0 if self.info is None else len(self.info["ch_names"])
        found = self.sources
        filters, titles = as_maps(found.filters, self.titles, (n_chans,))
        n_sources = len(filters)
        if self.titles is None:
            titles = [f"source {k}" for k in range(1, n_sources + 1)]
        if len(found.classes) != n_sources:
            raise ValueError(f"There are {n_sources} sources, but {len(found.classes)} classes.")

        def checked(name, *shape):
            values, needed = np.asarray(getattr(found, name), dtype=float), (n_sources, *shape)
            if values.shape != needed:
                raise ValueError(f"The {name} have shape {values.shape}, but need {needed}.")
            check_finite(f"The {name}", values)
            return values

        maps = np.stack([filters, checked("patterns", n_chans)], axis=1)
        curves = {
            "response of the filter": checked("responses", len(found.frequencies)),
            "spectrum of the source": checked("spectra", len(found.frequencies)),
        }
        return maps, curves, checked("weights", 2, len(found.times)), titles

    def _draw_spectra(self, curves):
        frequencies = self.sources.frequencies
        for row, axes in enumerate(self.axes_[:, 2]):
            for (label, values), look in zip(curves.items(), ("--", "-"), strict=True):
                style = {"color": OKABE_ITO[2], "linewidth": 1.6, "label": label}
                axes.plot(frequencies, values[row], look, **style)
            axes.set_xlim(np.min(frequencies), np.max(frequencies))
            axes.set_ylabel("amplitude", fontsize="small")
            axes.set_ylim(bottom=0)
            _share_x(axes, self.axes_[-1, 2], "frequency (Hz)")
        self.axes_[0, 2].legend(fontsize="x-small", frameon=False, loc="center right")

    def _draw_weights(self, weights):
        """Draw weights of log power and mean; all sources on one scale, so that they compare."""
        limit, times = 1.1 * np.abs(weights).max() or 1.0, self.sources.times
        marker = "o" if len(times) < 3 else None
        looks = (("log power", OKABE_ITO[0], "-"), ("mean", OKABE_ITO[1], "--"))
        for axes, one in zip(self.axes_[:, 3], weights, strict=True):
            axes.axhline(0, color=GREY, linewidth=0.8)
            for values, (label, colour, line) in zip(one, looks, strict=True):
                style = {"color": colour, "linewidth": 1.6, "label": label, "marker": marker}
                axes.plot(times, values, line, **style)
            axes.set_ylim(-limit, limit)
            axes.set_ylabel("weight", fontsize="small")
            _share_x(axes, self.axes_[-1, 3], "time from start of epoch (s)")
        self.axes_[0, 3].legend(fontsize="x-small", frameon=False, ncols=2, loc="best")


def _share_x(axes, last, label):
    """Write the label of the x axis below the last row alone."""
    tidy(axes)
    axes.tick_params(labelsize="small", labelbottom=axes is last)
    if axes is last:
        axes.set_xlabel(label, fontsize="small")

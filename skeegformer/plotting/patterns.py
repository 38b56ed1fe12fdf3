"""Sources of a network that learns spatial filters: where, at which frequencies, and when."""

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


class PatternDisplay:
    """Filters, patterns, frequency responses and weights over time of some sources.

    A row for each source: the spatial filter, which extracts it; the pattern, which is how it
    shows at the channels [1]_; the frequency response of its temporal filter, and its spectrum;
    and the weights with which it enters the decision, window by window.

    Parameters
    ----------
    filters : array-like of shape (n_sources, n_chans)
        Spatial filters.
    patterns : array-like of shape (n_sources, n_chans)
        Spatial patterns.
    info : mne.Info
        Electrode positions, in the order of the channels.
    frequencies : array-like of shape (n_freqs,)
        In Hz.
    responses : array-like of shape (n_sources, n_freqs)
        Frequency responses, in `response_unit`.
    times : array-like of shape (n_windows,)
        Middles of the windows, in seconds.
    weights : array-like of shape (n_sources, 2, n_windows)
        Signed weights of the logarithm of the source's power, and of its mean, in each window;
        values above 0 speak for the class of the source.
    classes : sequence of shape (n_sources,)
        The class that each source's weights speak for.
    titles : sequence of str or None, default=None
        Names of the sources; None numbers them.
    spectra : array-like of shape (n_sources, n_freqs) or None, default=None
        Spectra of the sources, drawn with the responses and in the same unit.
    response_unit : str, default="amplitude"
        Such as "amplitude" or "dB".
    weight_unit : str, default="weight"
        Such as "log odds per standard deviation".

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_sources, 4)
        Filter, pattern, frequency response and weights of each source.
    images_ : list of list of matplotlib.image.AxesImage
        Filter and pattern of each source.
    caption_ : str
        How to read the figure, written below a figure of its own, and which electrodes are
        missing.

    References
    ----------
    .. [1] Haufe et al. (2014), On the interpretation of weight vectors of linear models in
       multivariate neuroimaging, NeuroImage 87. doi:10.1016/j.neuroimage.2013.10.067

    Examples
    --------
    >>> import matplotlib, mne
    >>> import numpy as np
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import PatternDisplay
    >>> info = mne.create_info(["Fz", "C3", "C4", "Oz"], 100.0, "eeg").set_montage("biosemi64")
    >>> filters = [[0.0, 1.0, -1.0, 0.0], [0.0, 0.0, -0.2, 1.0]]
    >>> patterns = [[0.1, 1.0, -0.8, 0.1], [0.1, 0.2, 0.2, 1.0]]
    >>> frequencies, times = np.arange(1, 41), np.linspace(0.2, 1.8, 9)
    >>> responses = np.exp(-0.1 * (frequencies - np.array([[11], [10]])) ** 2)
    >>> weights = np.random.default_rng(0).normal(size=(2, 2, 9))
    >>> display = PatternDisplay(
    ...     filters, patterns, info, frequencies, responses, times, weights, ["left", "right"]
    ... ).plot()
    >>> display.axes_.shape
    (2, 4)
    """

    def __init__(
        self,
        filters,
        patterns,
        info,
        frequencies,
        responses,
        times,
        weights,
        classes,
        titles=None,
        *,
        spectra=None,
        response_unit="amplitude",
        weight_unit="weight",
    ):
        self.filters = filters
        self.patterns = patterns
        self.info = info
        self.frequencies = frequencies
        self.responses = responses
        self.times = times
        self.weights = weights
        self.classes = classes
        self.titles = titles
        self.spectra = spectra
        self.response_unit = response_unit
        self.weight_unit = weight_unit

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

        Warns
        -----
        UserWarning
            If electrodes are left out.
        """
        import mne

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
        names = [str(name) for name in self.classes]
        colours = dict(zip(dict.fromkeys(names), OKABE_ITO * len(names), strict=False))
        self.images_ = []
        for row, pair, name, title in zip(self.axes_, maps, names, titles, strict=True):
            self.images_.append(
                [
                    draw_map(axes, one[kept], places, colour_scale(one[kept], signed=True))
                    for axes, one in zip(row[:2], pair, strict=True)
                ]
            )
            row[0].text(
                -0.12, 0.5, f"{title}\nfor {name}", transform=row[0].transAxes, rotation=90,
                ha="right", va="center", ma="center", color=colours[name], weight="bold",
                parse_math=False,
            )  # fmt: skip
        self._draw_spectra(curves)
        self._draw_weights(weights)
        for axes, heading in zip(self.axes_[0], _COLUMNS, strict=True):
            axes.set_title(heading)
        bar = self.figure_.colorbar(
            self.images_[-1][0],
            ax=list(self.axes_[:, :2].ravel()),
            location="bottom",
            shrink=0.5,
            aspect=25,
            pad=0.03,
            ticks=[self.images_[-1][0].get_clim()[0], 0, self.images_[-1][0].get_clim()[1]],
        )
        bar.ax.set_xticklabels(["−max", "0", "+max"])
        self.caption_ = " ".join(filter(None, [_CAPTION, missing]))
        if ax is None:
            write_caption(self.figure_, self.caption_)
        return self

    def _check(self):
        """Bring everything into its shape: filters and patterns as (n_sources, 2, n_chans)."""
        n_chans = 0 if self.info is None else len(self.info["ch_names"])
        filters, titles = as_maps(self.filters, None, (n_chans,))
        n_sources = len(filters)
        arrays = {
            "patterns": (self.patterns, (n_sources, n_chans)),
            "responses": (self.responses, (n_sources, len(self.frequencies))),
            "weights": (self.weights, (n_sources, 2, len(self.times))),
            "spectra": (self.spectra, (n_sources, len(self.frequencies))),
        }
        if self.spectra is None:
            del arrays["spectra"]
        checked = []
        for name, (values, shape) in arrays.items():
            values = np.asarray(values, dtype=float)
            if values.shape != shape:
                raise ValueError(f"The {name} have shape {values.shape}, but need {shape}.")
            check_finite(f"The {name}", values)
            checked.append(values)
        if len(self.classes) != n_sources:
            raise ValueError(f"There are {n_sources} sources, but {len(self.classes)} classes.")
        titles = [f"source {k}" for k in range(1, n_sources + 1)]
        if self.titles is not None:
            titles = [str(title) for title in self.titles]
        if len(titles) != n_sources:
            raise ValueError(f"There are {n_sources} sources, but {len(titles)} titles.")
        patterns, responses, weights, *spectra = checked
        curves = {"response of the filter": responses}
        if spectra:
            curves["spectrum of the source"] = spectra[0]
        return np.stack([filters, patterns], axis=1), curves, weights, titles

    def _draw_spectra(self, curves):
        lowest = min(values.min() for values in curves.values())
        for row, axes in enumerate(self.axes_[:, 2]):
            for (label, values), look in zip(curves.items(), ("--", "-"), strict=False):
                axes.plot(
                    self.frequencies, values[row], look, color=OKABE_ITO[2], linewidth=1.6,
                    label=label,
                )  # fmt: skip
            axes.set_xlim(np.min(self.frequencies), np.max(self.frequencies))
            axes.set_ylabel(self.response_unit, fontsize="small", parse_math=False)
            if self.response_unit != "dB":
                axes.set_ylim(bottom=min(0.0, lowest))
            _share_x(axes, self.axes_[-1, 2], "frequency (Hz)")
        self.axes_[0, 2].legend(fontsize="x-small", frameon=False, loc="upper right")

    def _draw_weights(self, weights):
        """Draw weights of log power and mean; all sources on one scale, so that they compare."""
        limit = 1.1 * np.abs(weights).max() or 1.0
        for axes, one in zip(self.axes_[:, 3], weights, strict=True):
            axes.axhline(0, color=GREY, linewidth=0.8)
            looks = (("log power", OKABE_ITO[0], "-"), ("mean", OKABE_ITO[1], "--"))
            for values, (label, colour, line) in zip(one, looks, strict=True):
                axes.plot(
                    self.times, values, line, color=colour, linewidth=1.6, label=label,
                    marker="o" if len(self.times) < 3 else None,
                )  # fmt: skip
            axes.set_ylim(-limit, limit)
            axes.set_ylabel(self.weight_unit, fontsize="small", parse_math=False)
            _share_x(axes, self.axes_[-1, 3], "time (s)")
        self.axes_[0, 3].legend(fontsize="x-small", frameon=False, ncols=2, loc="best")


def _share_x(axes, last, label):
    """Write the label of the x axis below the last row alone."""
    tidy(axes)
    axes.tick_params(labelsize="small", labelbottom=axes is last)
    if axes is last:
        axes.set_xlabel(label, fontsize="small")

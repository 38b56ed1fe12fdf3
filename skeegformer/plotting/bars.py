"""Channel values as bars, with intervals."""

from dataclasses import KW_ONLY, dataclass

import numpy as np

from skeegformer._validation import name_channels
from skeegformer.plotting._electrodes import (
    HEMISPHERES,
    REGIONS,
    channel_hemispheres,
    channel_regions,
)
from skeegformer.plotting._style import (
    GREY,
    OKABE_ITO,
    check_finite,
    ink,
    legend_above,
    open_axes,
    tidy,
)

_MARKERS = dict(zip(HEMISPHERES, ("<", "o", ">", "D"), strict=True))
_COLOURS = dict(zip(REGIONS, (*OKABE_ITO[:5], GREY), strict=True))


@dataclass(eq=False, repr=False)
class ChannelBarDisplay:
    """A bar for each channel, coloured by scalp region, with intervals.

    Parameters
    ----------
    values : ndarray of shape (n_chans,)
        Lengths of the bars.
    ch_names : list of str or None, default=None
        Names; None calls them "channel 0" and so on.
    intervals : ndarray of shape (n_chans, 2) or None, default=None
        Lower and upper end of an interval for each channel.
    unit : str, default="share of attention (%)"
        Label of the axis.
    interval_label : str or None, default=None
        What the intervals are.

    Attributes
    ----------
    figure_, axes_, ax_ : Figure, ndarray of Axes of shape (1,) or (2,), Axes
        The figure, its axes (channels, and regions if they were asked for), and the first of them.
    bars_, region_bars_ : matplotlib.container.BarContainer, the second one or None
        The bars of channels and of regions, from top to bottom.
    order_ : ndarray of int
        The channel of each bar.
    interval_lines_ : matplotlib.collections.LineCollection or None
        The intervals of the channels.

    See Also
    --------
    TopomapDisplay : The same values over the scalp.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import ChannelBarDisplay
    >>> display = ChannelBarDisplay([20.0, 50.0, 30.0], ["C3", "Cz", "C4"]).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['Cz', 'C4', 'C3']
    """

    values: np.ndarray
    ch_names: list[str] | None = None
    intervals: np.ndarray | None = None
    _: KW_ONLY
    unit: str = "share of attention (%)"
    interval_label: str | None = None

    def plot(self, ax=None, *, n_top=20, regions=False):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of two of them or None, default=None
            Two with `regions`; None makes a figure.
        n_top : int or None, default=20
            How many channels to show, those with the largest absolute values; None shows all.
        regions : bool, default=False
            Whether to show beside them the mean over the channels of each region, and of each
            region's left, middle and right part.

        Returns
        -------
        ChannelBarDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If names, intervals or axes do not fit the values, or regions are not known.
        """
        values, intervals = self._check(n_top)
        names = name_channels(self.ch_names, len(values))
        of_channel = channel_regions(names)
        if regions and set(of_channel) == {"other"}:
            raise ValueError(
                "Means of regions need channel names of the 10-20 system such as 'Cz', and these "
                f"channels are called {', '.join(names[:3])}, ...; rename them, for example with "
                "epochs.rename_channels, or leave out regions=True."
            )
        largest = np.argsort(-np.abs(values), kind="stable")[:n_top]
        self.order_ = largest[np.argsort(-values[largest], kind="stable")]
        n_bars, n_axes = len(self.order_), 1 + bool(regions)
        size = 1.2 + 3.4 * n_axes, 1.1 + (0.22 if n_bars <= 30 else 0.15) * n_bars
        self.axes_ = open_axes(ax, n_axes, ncols=n_axes, figsize=size)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self._draw_channels(values, intervals, names, of_channel)
        self.region_bars_ = None
        if regions:
            self._draw_regions(self.axes_[1], values, of_channel, channel_hemispheres(names))
        return self

    def _check(self, n_top):
        values = np.asarray(self.values, dtype=float)
        if values.ndim != 1:
            raise ValueError(
                f"The values have shape {values.shape}, but bars need (n_chans,): average them."
            )
        check_finite("The bars", values)
        if n_top is not None and n_top < 1:
            raise ValueError(f"n_top={n_top!r} leaves no channel; give at least 1, or None.")
        if self.intervals is None:
            return values, None
        intervals = np.asarray(self.intervals, dtype=float)
        if intervals.shape != (len(values), 2):
            raise ValueError(
                f"The intervals have shape {intervals.shape}, but {len(values)} channels need "
                f"({len(values)}, 2): a lower and an upper end for each."
            )
        check_finite("The intervals", intervals)
        if (intervals[:, 0] > intervals[:, 1]).any():
            raise ValueError("The lower end of some interval lies above its upper end.")
        return values, intervals

    def _draw_channels(self, values, intervals, names, of_channel):
        from matplotlib.patches import Patch

        ax, order = self.ax_, self.order_
        places = np.arange(len(order))
        shown = [of_channel[i] for i in order]
        known = set(shown) != {"other"}
        colours = [_COLOURS[region] if known else OKABE_ITO[0] for region in shown]
        self.bars_ = ax.barh(places, values[order], height=0.75, color=colours)
        self.interval_lines_ = None
        if intervals is not None:
            low, high = intervals[order].T
            self.interval_lines_ = ax.hlines(places, low, high, color=ink(), linewidth=1.2)
        size = "small" if len(order) <= 30 else "x-small"
        ax.set_yticks(places, [names[i] for i in order], fontsize=size, parse_math=False)
        label = self.unit
        if intervals is not None and self.interval_label:
            label += f"\nlines: {self.interval_label}"
        _finish(ax, len(order), label, has_negative=(values[order] < 0).any())
        if known:
            legend_above(ax, [Patch(color=_COLOURS[r], label=r) for r in REGIONS if r in shown])

    def _draw_regions(self, ax, values, of_channel, sides):
        """Draw the mean of each region, and of its parts as markers that point to their side."""
        present = [region for region in REGIONS if region in of_channel]
        groups = [np.array(of_channel) == region for region in present]
        self.region_bars_ = ax.barh(
            range(len(present)),
            [values[group].mean() for group in groups],
            height=0.6,
            color=[_COLOURS[region] for region in present],
            alpha=0.6,
        )
        for side, offset in zip(HEMISPHERES[:3], (-0.2, 0.0, 0.2), strict=True):
            on_side = np.array(sides) == side
            places = [k for k, group in enumerate(groups) if (group & on_side).any()]
            means = np.array([values[groups[k] & on_side].mean() for k in places])
            look = {"marker": _MARKERS[side], "color": ink(), "linestyle": "none", "markersize": 6}
            ax.plot(means, np.array(places) + offset, label=side, **look)
        sized = [f"{name} ({group.sum()})" for name, group in zip(present, groups, strict=True)]
        ax.set_yticks(range(len(present)), sized)
        has_negative = any((line.get_xdata() < 0).any() for line in ax.lines)
        label = f"mean of the region's channels\n{self.unit}"
        _finish(ax, len(present), label, has_negative=has_negative)
        legend_above(ax, ax.get_legend_handles_labels()[0])


def _finish(ax, n_bars, label, *, has_negative):
    """Put the first bar on top and take away what carries no information."""
    ax.margins(x=0.06)
    ax.set_ylim(n_bars - 0.4, -0.6)
    ax.set_xlabel(label, parse_math=False)
    ax.tick_params(axis="y", length=0)
    tidy(ax, "x")
    if has_negative:
        ax.axvline(0, color=ink(), linewidth=0.8)
        ax.spines["left"].set_visible(False)

"""Channel values as bars, with intervals."""

from dataclasses import KW_ONLY, dataclass

import numpy as np

from skeegformer._validation import name_channels
from skeegformer.plotting._style import OKABE_ITO, check_finite, ink, open_axes, tidy


@dataclass(eq=False, repr=False)
class ChannelBarDisplay:
    """A bar for each channel, with intervals.

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
    figure_, ax_ : Figure, Axes
        The figure and its axes.
    bars_ : matplotlib.container.BarContainer
        The bars, from top to bottom.
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

    def plot(self, ax=None, *, n_top=20):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.
        n_top : int or None, default=20
            How many channels to show, those with the largest absolute values; None shows all.

        Returns
        -------
        ChannelBarDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If names or intervals do not fit the values.
        """
        values, intervals = self._check(n_top)
        names = name_channels(self.ch_names, len(values))
        largest = np.argsort(-np.abs(values), kind="stable")[:n_top]
        self.order_ = order = largest[np.argsort(-values[largest], kind="stable")]
        height = 0.22 if len(order) <= 30 else 0.15
        (ax,) = open_axes(ax, 1, figsize=(4.6, 1.1 + height * len(order)))
        self.ax_, self.figure_ = ax, ax.figure
        places = np.arange(len(order))
        self.bars_ = ax.barh(places, values[order], height=0.75, color=OKABE_ITO[0])
        label, self.interval_lines_ = self.unit, None
        if intervals is not None:
            low, high = intervals[order].T
            self.interval_lines_ = ax.hlines(places, low, high, color=ink(), linewidth=1.2)
            if self.interval_label:
                label += f"\nlines: {self.interval_label}"
        size = "small" if len(order) <= 30 else "x-small"
        ax.set_yticks(places, [names[i] for i in order], fontsize=size, parse_math=False)
        ax.margins(x=0.06)
        ax.set_ylim(len(order) - 0.4, -0.6)
        ax.set_xlabel(label, parse_math=False)
        ax.tick_params(axis="y", length=0)
        tidy(ax, "x")
        if (values[order] < 0).any():
            ax.axvline(0, color=ink(), linewidth=0.8)
            ax.spines["left"].set_visible(False)
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

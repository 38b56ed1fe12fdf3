"""Matrices of channels by channels, ordered by scalp region."""

from dataclasses import KW_ONLY, dataclass
from itertools import pairwise

import numpy as np

from skeegformer._validation import name_channels
from skeegformer.plotting._electrodes import channel_regions, region_order
from skeegformer.plotting._style import (
    DIVERGING,
    add_colorbars,
    as_maps_and_differences,
    colour_scales,
    open_axes,
    write_caption,
)

_MOST_NAMES = 32  # that are legible beside each other on an axis


@dataclass(eq=False, repr=False)
class TokenMatrixDisplay:
    """Matrices of connections between channels.

    Rows are queries, columns keys, and information flows from the key to the query; if all
    matrices are symmetric, there is no such direction, and none is written.

    Parameters
    ----------
    values : array-like of shape (n_maps, n_chans, n_chans) or (n_chans, n_chans)
        What to draw.
    ch_names : list of str or None, default=None
        Names; without them channels stay in their own order.
    titles : sequence of str or None, default=None
        A title for each matrix.
    unit : str, default="share of attention (%)"
        Label of the colour bar.
    signed : bool, default=False
        Whether values may be negative; if so, white is 0 and the limits are symmetric.
    differences : array-like of the shape of values or None, default=None
        Differences between the above, drawn after them with a colour bar of their own.
    difference_titles : sequence of str or None, default=None
        Their titles.
    difference_unit : str, default="difference (% points)"
        Label of their colour bar.

    Attributes
    ----------
    figure_, axes_, ax_ : Figure, ndarray of Axes of shape (n_maps + n_differences,), Axes
        The figure, its axes, differences last, and the first of them.
    images_ : list of matplotlib.image.AxesImage
        The matrices, differences last.
    order_ : ndarray of int of shape (n_chans,)
        The channel of each row and column.
    colorbar_, difference_colorbar_ : matplotlib.colorbar.Colorbar, the second one or None
        Of the matrices and of the differences.
    caption_ : str
        What colours may exaggerate; empty if nothing.

    See Also
    --------
    ConnectionDisplay : The strongest of these connections on a head.

    Examples
    --------
    >>> import matplotlib, numpy as np
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import TokenMatrixDisplay
    >>> attention = np.array([[80.0, 5, 15], [10, 70, 20], [25, 15, 60]])
    >>> display = TokenMatrixDisplay(attention, ["O1", "C3", "Fz"], ["rest"]).plot()
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['Fz', 'C3', 'O1']
    >>> display.images_[0].get_clim()
    (0.0, 25.0)
    """

    values: np.ndarray
    ch_names: list[str] | None = None
    titles: list | None = None
    _: KW_ONLY
    unit: str = "share of attention (%)"
    signed: bool = False
    differences: np.ndarray | None = None
    difference_titles: list | None = None
    difference_unit: str = "difference (% points)"

    def plot(self, ax=None, *, diagonal=False, names=None, vlim=None):
        """Draw the matrices.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            As many as there are matrices; None makes a figure.
        diagonal : bool, default=False
            Whether to show a channel's connection with itself. It often is several times as
            large as all else, and would take the range of colours for itself.
        names : bool or None, default=None
            Whether to write the name of every channel rather than regions; None does so for
            up to 32 channels.
        vlim : tuple of (float, float), "data" or None, default=None
            Colour limits of all matrices but differences. None starts at 0, for signed values it
            is symmetric; "data" spans what is shown.

        Returns
        -------
        TokenMatrixDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If matrices, names or axes do not fit each other.
        """
        n_chans = np.shape(self.values)[-1]
        if n_chans < 2:
            raise ValueError("There are no connections within a single channel.")
        maps, titles, n_values = as_maps_and_differences(self, (n_chans, n_chans))
        symmetric = np.allclose(maps, maps.swapaxes(1, 2))
        ch_names = name_channels(self.ch_names, n_chans)
        self.order_, regions = np.arange(n_chans), None
        if self.ch_names is not None:
            self.order_ = region_order(ch_names)
            regions = channel_regions([ch_names[i] for i in self.order_])
            regions = None if set(regions) == {"other"} else regions
        maps = maps[:, self.order_][:, :, self.order_]
        if not diagonal:
            maps[:, range(n_chans), range(n_chans)] = np.nan
        size = 0.9 + 3.9 * len(maps), 4.6
        self.axes_ = open_axes(ax, len(maps), ncols=len(maps), figsize=size, sharey=True)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        scales, self.caption_ = colour_scales(maps, n_values, signed=self.signed, vlim=vlim)
        self.images_ = []
        shown = [ch_names[i] for i in self.order_]
        for axes, title, matrix, look in zip(self.axes_, titles, maps, scales, strict=True):
            self.images_.append(_draw_matrix(axes, matrix, look))
            axes.set_title(title, parse_math=False)
            colour = "0.4" if look[0] == DIVERGING else "white"
            for axis in "xy":
                _label_channels(axes, axis, shown, regions, write_names=names, colour=colour)
            if not symmetric:
                axes.set_xlabel("key (information from)")
        if not symmetric:
            self.ax_.set_ylabel("query (information to)")
        labels = (self.unit, self.difference_unit)
        bars = add_colorbars(self.images_, self.axes_, n_values, labels, shrink=0.8)
        self.colorbar_, self.difference_colorbar_ = bars
        if ax is None:
            write_caption(self.figure_, self.caption_)
            # Squares of equal size settle in two steps; a figure that is saved now takes one.
            self.figure_.draw_without_rendering()
        return self


def _draw_matrix(axes, matrix, look):
    """Draw a matrix; what is blank is grey."""
    from matplotlib import colormaps

    cmap, (low, high) = look
    cmap = colormaps[cmap].with_extremes(bad="0.7")
    return axes.imshow(matrix, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")


def _label_channels(ax, axis, names, regions, *, write_names, colour):
    """Label an axis with channels, or with their regions, and draw lines between these."""
    set_ticks = getattr(ax, f"set_{axis}ticks")
    if regions is not None:
        starts = [i for i in range(len(regions)) if i == 0 or regions[i] != regions[i - 1]]
        for start in starts[1:]:
            draw = ax.axvline if axis == "x" else ax.axhline
            draw(start - 0.5, color=colour, linewidth=1.0)
    if write_names is None:
        write_names = len(names) <= _MOST_NAMES
    if write_names:
        size = "small" if len(names) <= 20 else 7 if len(names) <= 32 else 4.5
        turn = {"rotation": 90} if axis == "x" else {}
        set_ticks(range(len(names)), names, parse_math=False, fontsize=size, **turn)
    elif regions is not None:
        middles = [(low + high - 1) / 2 for low, high in pairwise([*starts, len(regions)])]
        turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if axis == "x" else {}
        set_ticks(middles, [regions[i] for i in starts], **turn)
    ax.tick_params(axis=axis, length=2 if write_names or regions is None else 0)

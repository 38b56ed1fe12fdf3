"""Maps of channel values over the scalp."""

import textwrap
from dataclasses import KW_ONLY, dataclass

import mne
import numpy as np

from skeegformer._validation import check_count, in_channel_order
from skeegformer.plotting._electrodes import draw_map, head_layout, usable_electrodes
from skeegformer.plotting._style import as_maps, colour_scale, open_axes, write_caption, write_names

_MOST_COLUMNS = 6


@dataclass(eq=False, repr=False)
class TopomapDisplay:
    """Topographic maps with common colour limits.

    Electrodes without a position, or at the position of another one, are left out with a warning.

    Parameters
    ----------
    values : array-like of shape (n_maps, n_chans) or (n_chans,)
        Values to draw.
    info : mne.Info
        Electrode positions, in the order of the values.
    titles : sequence of str, default=None
        A title for each map.
    unit : str, default="share of attention (%)"
        Label of the colour bar.
    signed : bool, default=False
        Whether values can be negative, so that the colour scale is symmetric, with white for 0.

    Attributes
    ----------
    figure_, axes_, ax_ : Figure, ndarray of Axes of shape (n_maps,), Axes
        The figure, its axes, and the first of them.
    images_ : list of matplotlib.image.AxesImage
        The maps.
    kept_ : ndarray of int
        The channels that are drawn.
    colorbar_ : matplotlib.colorbar.Colorbar
        The colour bar of all maps.
    caption_ : str
        Electrodes that are left out, as written below a figure that `plot` creates; empty if none.

    Examples
    --------
    >>> import matplotlib, mne
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import TopomapDisplay
    >>> info = mne.create_info(["Fz", "C3", "C4", "Oz"], 100.0, "eeg").set_montage("biosemi64")
    >>> maps = [[10.0, 60.0, 10.0, 20.0], [10.0, 20.0, 50.0, 20.0]]
    >>> display = TopomapDisplay(maps, info, ["right", "left"]).plot()
    >>> [axes.get_title() for axes in display.axes_]
    ['right', 'left']
    >>> display.images_[0].get_clim()
    (0.0, 60.0)
    """

    values: np.ndarray
    info: mne.Info
    titles: list | None = None
    _: KW_ONLY
    unit: str = "share of attention (%)"
    signed: bool = False

    def plot(self, ax=None, *, vlim=None, names=0, mask=None, n_columns=None):
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One axes for each map; None creates a figure.
        vlim : tuple of (float, float) or None, default=None
            Colour limits of all maps. None starts at 0, so that differences between channels are
            not exaggerated, or is symmetric for signed values.
        names : int, default=0
            Number of channels to name in each map, those with the largest absolute values.
        mask : array-like of bool of shape (n_chans,) or None, default=None
            Electrodes to mark, for example where a test is significant.
        n_columns : int or None, default=None
            Number of maps per row; None for automatic.

        Returns
        -------
        TopomapDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If values, masks or axes do not match channels and maps, or fewer than three electrodes
            have a position.
        """
        check_count("names", names, 0)
        self.kept_, self.caption_ = usable_electrodes(self.info)
        n_chans = len(self.info["ch_names"])
        values, mask = (in_channel_order(v, self.info["ch_names"]) for v in (self.values, mask))
        maps, titles = as_maps(values, self.titles, (n_chans,))
        mask = np.zeros(n_chans, dtype=bool) if mask is None else np.asarray(mask)
        if mask.shape != (n_chans,) or mask.dtype != bool:
            raise ValueError(
                f"mask has shape {mask.shape} and type {mask.dtype}, but has to be boolean and of "
                f"shape ({n_chans},)."
            )
        self.axes_ = _panels(ax, len(maps), n_columns)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        maps, mask = maps[:, self.kept_], mask[self.kept_]
        scale = colour_scale(maps, signed=self.signed, vlim=vlim)
        info = mne.pick_info(self.info, self.kept_)
        places = head_layout(info)
        self.images_ = []
        look = {"offset": 2.5, "fontsize": 7.5, "color": "black", "halo": "white"}
        for axes, one, title in zip(self.axes_, maps, titles, strict=True):
            self.images_.append(draw_map(axes, one, places, scale, mask))
            largest = np.argsort(-np.abs(one), kind="stable")[:names]
            write_names(axes, [info["ch_names"][i] for i in largest], places[largest], **look)
            fontsize = "large" if len(maps) <= 4 else "medium"
            axes.set_title(title, fontsize=fontsize, parse_math=False)
        n_rows = len({round(one.get_position().y0, 2) for one in self.axes_})
        shape = {"shrink": 0.8, "aspect": 16} if n_rows == 1 else {"shrink": 0.5, "aspect": 24}
        bar = self.figure_.colorbar(self.images_[0], ax=list(self.axes_), pad=0.03, **shape)
        # The bar of a single row of several is short, and what is longer would be cut off.
        bar.set_label(textwrap.fill(self.unit, 24), parse_math=False)
        self.colorbar_ = bar
        if ax is None:
            write_caption(self.figure_, self.caption_)
        return self


def _panels(ax, n_maps, n_columns):
    """Lay the maps out, row by row."""
    if n_columns is None:
        n_columns = -(-n_maps // -(-n_maps // _MOST_COLUMNS))
    check_count("n_columns", n_columns, 1)
    n_rows = -(-n_maps // n_columns)
    size = 2.8 if n_maps <= 2 else 2.4 if n_maps <= 4 else 1.8
    shape = {"nrows": n_rows, "ncols": n_columns}
    return open_axes(ax, n_maps, **shape, figsize=(size * n_columns + 1.0, (size + 0.25) * n_rows))

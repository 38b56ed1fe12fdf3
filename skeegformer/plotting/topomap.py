"""Maps of channel values over the scalp."""

from dataclasses import KW_ONLY, dataclass

import mne
import numpy as np

from skeegformer._validation import check_count
from skeegformer.plotting._electrodes import draw_map, head_layout, usable_electrodes
from skeegformer.plotting._style import (
    add_colorbars,
    as_maps_and_differences,
    colour_scales,
    open_axes,
    write_beside,
    write_caption,
    write_names,
)

_MOST_COLUMNS = 6
_MANY_NAMES = 12


@dataclass(eq=False, repr=False)
class TopomapDisplay:
    """Scalp maps with joint colour limits.

    Electrodes without a position, or where another one is, are left out with a warning.

    Parameters
    ----------
    values : array-like of shape (n_maps, n_chans) or (n_chans,)
        What to draw.
    info : mne.Info
        Electrode positions, in the order of the values.
    titles : sequence of str or of (str, str), default=None
        A title for each map; pairs (row, column) make a grid.
    unit : str, default="share of attention (%)"
        Label of the colour bar.
    signed : bool, default=False
        Whether values may be negative; if so, white is 0 and the limits are symmetric.
    differences : array-like of shape (n_differences, n_chans) or (n_chans,), default=None
        Differences between the above, drawn after them with a colour bar of their own.
    difference_titles : sequence of str or of (str, str), default=None
        Their titles.
    difference_unit : str, default="difference (% points)"
        Label of their colour bar.

    Attributes
    ----------
    figure_, axes_, ax_ : Figure, ndarray of Axes of shape (n_maps + n_differences,), Axes
        The figure, its axes, differences last, and the first of them.
    images_ : list of matplotlib.image.AxesImage
        The maps, differences last.
    kept_ : ndarray of int
        The channels that are drawn.
    colorbar_, difference_colorbar_ : matplotlib.colorbar.Colorbar, the second one or None
        Of the maps and of the differences.
    caption_ : str
        Which electrodes are missing, and what colours may exaggerate; empty if there is nothing
        to say. It is written below a figure of its own.

    See Also
    --------
    skeegformer.Explanation.plot_bars : The same values with intervals, without positions.

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
    differences: np.ndarray | None = None
    difference_titles: list | None = None
    difference_unit: str = "difference (% points)"

    def plot(self, ax=None, *, vlim=None, names=False, mask=None, n_columns=None):
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            As many as there are maps; None makes a figure.
        vlim : tuple of (float, float), "data" or None, default=None
            Colour limits of all maps but differences. None starts at 0, for signed values it is
            symmetric; "data" spans the values, which makes small differences between channels
            look large.
        names : bool or int, default=False
            Whether to write the channels' names beside the electrodes; a number writes those of
            as many channels with the largest absolute values in each map.
        mask : array-like of bool of shape (n_chans,) or (n_axes, n_chans), default=None
            Electrodes to mark, for example where a test is significant. A single array belongs
            to the differences where there are any, and to all maps where not.
        n_columns : int or None, default=None
            Number of maps in a row; None chooses. Grids have their own.

        Returns
        -------
        TopomapDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If values, masks or axes do not fit the channels and the maps, or fewer than three
            electrodes have a position.
        """
        self.kept_, missing = usable_electrodes(self.info)
        n_chans = len(self.info["ch_names"])
        maps, titles, n_values = as_maps_and_differences(self, (n_chans,))
        masks = _masks(mask, maps, n_values)
        n_names = int(names) if isinstance(names, bool) else names
        check_count("names", n_names, 0)
        n_names = len(self.kept_) if names is True else n_names
        self.axes_ = _panels(ax, titles, n_columns, large=n_names > _MANY_NAMES)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        maps = maps[:, self.kept_]
        scales, note = colour_scales(maps, n_values, signed=self.signed, vlim=vlim)
        info = mne.pick_info(self.info, self.kept_)
        places = head_layout(info)
        self.images_ = [
            draw_map(axes, one, places, scale, marked)
            for axes, one, scale, marked in zip(
                self.axes_, maps, scales, masks[:, self.kept_], strict=True
            )
        ]
        look = {"fontsize": 6 if n_names > _MANY_NAMES else 7.5, "color": "black", "halo": "white"}
        for axes, one in zip(self.axes_, maps, strict=True):
            largest = np.argsort(-np.abs(one), kind="stable")[:n_names]
            shown = [info["ch_names"][i] for i in largest]
            write_names(axes, shown, places[largest], offset=2.5, **look)
        _write_titles(self.axes_, titles)
        n_rows = len({round(one.get_position().y0, 2) for one in self.axes_})
        shape = {"shrink": 0.8, "aspect": 16} if n_rows == 1 else {"shrink": 0.5, "aspect": 24}
        labels = (self.unit, self.difference_unit)
        bars = add_colorbars(self.images_, self.axes_, n_values, labels, **shape)
        self.colorbar_, self.difference_colorbar_ = bars
        self.caption_ = " ".join(filter(None, [missing, note]))
        if ax is None:
            write_caption(self.figure_, self.caption_)
        return self


def _masks(mask, maps, n_values):
    """Return a mask for each map: (n_maps, n_chans)."""
    masks = np.zeros(maps.shape, dtype=bool)
    if mask is None:
        return masks
    mask = np.asarray(mask)
    if mask.shape not in (maps.shape, maps.shape[1:]) or mask.dtype != bool:
        raise ValueError(
            f"mask has shape {mask.shape} and type {mask.dtype}, but has to be boolean and of "
            f"shape ({maps.shape[1]},) or {maps.shape}."
        )
    masks[n_values if mask.ndim == 1 and n_values < len(maps) else 0 :] = mask
    return masks


def _panels(ax, titles, n_columns, *, large):
    """Lay the maps out: pairs as a grid, others row by row."""
    n_maps = len(titles)
    if isinstance(titles[0], tuple):
        n_columns = len({column for _, column in titles})
        if len({row for row, _ in titles}) * n_columns != n_maps:
            raise ValueError("Maps with titles (row, column) have to fill a grid.")
    elif n_columns is None:
        n_columns = -(-n_maps // -(-n_maps // _MOST_COLUMNS))
    check_count("n_columns", n_columns, 1)
    n_rows = -(-n_maps // n_columns)
    size = 4.2 if large else 2.8 if n_maps <= 2 else 2.4 if n_maps <= 4 else 1.8
    return open_axes(
        ax,
        n_maps,
        nrows=n_rows,
        ncols=n_columns,
        figsize=(size * n_columns + 1.0, (size + 0.25) * n_rows),
    )


def _write_titles(axes, titles):
    """Write titles above the maps; in a grid above the columns and beside the rows."""
    fontsize = "large" if len(titles) <= 4 else "medium"
    if not isinstance(titles[0], tuple):
        for one, title in zip(axes, titles, strict=True):
            one.set_title(title, fontsize=fontsize, parse_math=False)
        return
    columns = list(dict.fromkeys(column for _, column in titles))
    for k, (one, (row, column)) in enumerate(zip(axes, titles, strict=True)):
        if k < len(columns):
            one.set_title(column, fontsize=fontsize, parse_math=False)
        if column == columns[0]:
            write_beside(one, row.replace(" − ", "\n− "), fontsize=fontsize)

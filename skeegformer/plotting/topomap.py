"""Maps of channel values over the scalp."""

import numpy as np

from skeegformer._validation import check_count
from skeegformer.plotting._electrodes import draw_map, head_layout, usable_electrodes
from skeegformer.plotting._style import (
    add_colorbars,
    as_maps_and_differences,
    colour_scales,
    open_axes,
    write_caption,
)

_MOST_COLUMNS = 6
_MANY_NAMES = 12
_MASK_PARAMS = {
    "marker": "o",
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "markeredgewidth": 1,
    "markersize": 6,
    "linewidth": 0,
}


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
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_maps + n_differences,)
        The axes of the maps, differences last.
    ax_ : matplotlib.axes.Axes
        The first of them.
    images_ : list of matplotlib.image.AxesImage
        The maps, differences last.
    kept_ : ndarray of int
        The channels that are drawn.
    colorbar_ : matplotlib.colorbar.Colorbar
        The colour bar that all maps share.
    difference_colorbar_ : matplotlib.colorbar.Colorbar or None
        The one that differences share.
    caption_ : str
        Which electrodes are missing, and what colours may exaggerate; empty if there is nothing
        to say. It is written below a figure of its own.

    See Also
    --------
    ChannelBarDisplay : The same values with intervals, and without need of positions.
    skeegformer.Explanation.plot_topomap : Draws the maps of an explanation.

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

    def __init__(
        self,
        values,
        info,
        titles=None,
        *,
        unit="share of attention (%)",
        signed=False,
        differences=None,
        difference_titles=None,
        difference_unit="difference (% points)",
    ):
        self.values = values
        self.info = info
        self.titles = titles
        self.unit = unit
        self.signed = signed
        self.differences = differences
        self.difference_titles = difference_titles
        self.difference_unit = difference_unit

    def plot(
        self,
        ax=None,
        *,
        cmap=None,
        vlim=None,
        names=False,
        mask=None,
        mask_params=None,
        n_columns=None,
    ):
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            As many as there are maps; None makes a figure.
        cmap : str or matplotlib.colors.Colormap or None, default=None
            Colours; None takes viridis, for signed values RdBu_r, which differences always have.
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
        mask_params : dict or None, default=None
            Look of the marks, as in `mne.viz.plot_topomap`; None makes them white discs.
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

        Warns
        -----
        UserWarning
            If electrodes are left out.
        """
        import mne

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
        scales, note = colour_scales(maps, n_values, signed=self.signed, cmap=cmap, vlim=vlim)
        info = mne.pick_info(self.info, self.kept_)
        places = head_layout(info)
        self.images_ = [
            draw_map(axes, one, places, scale, marked, {**_MASK_PARAMS, **(mask_params or {})})
            for axes, one, scale, marked in zip(
                self.axes_, maps, scales, masks[:, self.kept_], strict=True
            )
        ]
        for axes, one in zip(self.axes_, maps, strict=True):
            largest = np.argsort(-np.abs(one), kind="stable")[:n_names]
            _write_names(axes, [info["ch_names"][i] for i in largest], places[largest])
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


def _write_names(axes, names, places):
    """Write names above electrodes, black on white in every style."""
    from matplotlib.patheffects import withStroke

    for name, place in zip(names, places, strict=True):
        axes.annotate(
            name,
            place,
            xytext=(0, 2.5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=6 if len(names) > _MANY_NAMES else 7.5,
            color="black",
            zorder=20,
            parse_math=False,
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
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
            one.text(
                -0.08,
                0.5,
                row.replace(" − ", "\n− "),
                transform=one.transAxes,
                rotation=90,
                ha="right",
                va="center",
                ma="center",
                fontsize=fontsize,
                parse_math=False,
            )

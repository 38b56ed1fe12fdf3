"""The strongest connections between channels, on a head: as a figure, and to turn around."""

from dataclasses import KW_ONLY, dataclass

import mne
import numpy as np

from skeegformer._utils.files import check_output_file, replacing
from skeegformer._validation import check_count
from skeegformer.plotting._connections_html import connections_figure
from skeegformer.plotting._electrodes import head_layout, on_sphere, usable_electrodes
from skeegformer.plotting._style import as_maps, ink, is_dark, open_axes, write_caption, write_names

_DIRECTED = (
    "Arrows run from the key, the channel that is attended to, to the query, the channel "
    "that attends: the way that information takes. Shown is what exceeds the mean over all other "
    "queries of the same key."
)
_SYMMETRIC = (
    "Lines join channels from which the model takes the same sources, by their sum or by their "
    "difference; they have no direction. Shown is what exceeds the sum of one number for each of "
    "the two channels."
)
_CAUTION = "Attention tells where the model looks; it is no connection in the brain."


@dataclass(eq=False, repr=False)
class ConnectionDisplay:
    """The strongest connections between channels, on a head.

    `plot` draws a figure, and `to_html` writes an interactive page that works offline. Rollout is
    dominated by keys to which every channel attends, so differences are drawn: from each
    connection, the mean over all other queries of its key is subtracted, which leaves what one
    channel takes from another beyond what all channels take from it. For symmetric matrices, the
    best additive fit with one number per channel (least squares) is subtracted. Electrodes without
    a position, or at the position of another one, are left out with a warning.

    Parameters
    ----------
    matrices : array-like of shape (n_maps, n_chans, n_chans) or (n_chans, n_chans)
        Connections; rows are queries and columns keys, and information flows from key to query. If
        all matrices are symmetric, connections have no direction.
    info : mne.Info
        Names and positions of the channels, in the order of the matrices.
    titles : sequence of str or None, default=None
        A title for each matrix.
    unit : str, default="share of attention (%)"
        Unit of the values.

    Attributes
    ----------
    kept_ : ndarray of int
        The channels that are drawn.
    directed_ : bool
        Whether connections have a direction.
    strengths_ : ndarray of shape (n_maps, n_kept, n_kept)
        The values that are drawn; 0 on the diagonal.
    caption_ : str
        How to read the figure.
    figure_, axes_, ax_ : Figure, ndarray of Axes of shape (n_maps,), Axes
        The figure of `plot`, its heads, and the first of them.

    Raises
    ------
    ValueError
        If matrices and channels do not match, values are not finite, or fewer than three electrodes
        have a position.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import mne
    >>> import numpy as np
    >>> from skeegformer.plotting import ConnectionDisplay
    >>> info = mne.create_info(["Fz", "C3", "C4", "Pz"], 160.0, "eeg")
    >>> info = info.set_montage("biosemi64")
    >>> rest, task = np.random.default_rng(0).random((2, 4, 4))
    >>> task[3, 1] += 2  # Pz takes more from C3
    >>> display = ConnectionDisplay([rest, task], info, ["rest", "task"]).plot(top=5)
    >>> query, key = np.unravel_index(display.strengths_[1].argmax(), (4, 4))
    >>> print(info.ch_names[key], "to", info.ch_names[query])
    C3 to Pz
    """

    matrices: np.ndarray
    info: mne.Info
    titles: list[str] | None = None
    _: KW_ONLY
    unit: str = "share of attention (%)"

    def __post_init__(self):
        self.kept_, missing = usable_electrodes(self.info)
        n_chans, n_kept = len(self.info["ch_names"]), len(self.kept_)
        values, self._titles = as_maps(self.matrices, self.titles, (n_chans, n_chans))
        values = values[:, self.kept_][:, :, self.kept_]
        self._info = mne.pick_info(self.info, self.kept_)
        self._names = list(self._info["ch_names"])
        self.directed_ = not np.allclose(values, values.swapaxes(1, 2))
        self.strengths_ = _beyond_single_channels(values, directed=self.directed_)
        self.strengths_[:, range(n_kept), range(n_kept)] = 0
        reading = _DIRECTED if self.directed_ else _SYMMETRIC
        self.caption_ = " ".join(filter(None, [reading, _CAUTION, missing]))

    def plot(self, ax=None, *, top=30):
        """Draw the strongest connections of each matrix, seen from above.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One axes for each matrix; None creates a figure.
        top : int, default=30
            Number of connections to draw for each matrix.

        Returns
        -------
        ConnectionDisplay
            The display, with ``figure_``, ``axes_`` and ``ax_``.

        Raises
        ------
        ValueError
            If `top` is less than 1, or the number of axes does not match the matrices.
        """
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap, Normalize

        check_count("top", top, 1)
        n_maps = len(self.strengths_)
        n_columns = min(n_maps, 3)
        n_rows = -(-n_maps // n_columns)
        size = 4.3 * n_columns + 1, 4.3 * n_rows
        self.axes_ = open_axes(ax, n_maps, nrows=n_rows, ncols=n_columns, figsize=size)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        places = head_layout(self._info)
        heads = self._strongest(top)
        colours, limits = self._colours(heads, dark=is_dark(self.ax_))
        colours = LinearSegmentedColormap.from_list("connections", colours)
        scale = ScalarMappable(Normalize(*limits), colours)
        for axes, title, edges in zip(self.axes_, self._titles, heads, strict=True):
            _draw_head(axes, places)
            _draw_edges(axes, edges, places, scale, directed=self.directed_)
            connected = sorted({k for query, key, _ in edges for k in (query, key)})
            look = {"fontsize": 7, "color": ink(), "halo": self.figure_.get_facecolor()}
            shown = [self._names[k] for k in connected]
            write_names(axes, shown, places[connected], offset=4, outward=True, **look)
            axes.set_title(title, parse_math=False)
        bar = self.figure_.colorbar(scale, ax=list(self.axes_), shrink=0.6, pad=0.02)
        bar.set_label(self._label, fontsize="small", parse_math=False)
        if ax is None:
            write_caption(self.figure_, self.caption_)
        return self

    def to_html(self, path=None, *, title="Connections between channels", top=300, overwrite=False):
        """Make an HTML page with a rotatable 3-D head for each matrix, which works offline.

        The legend shows and hides the ten strongest connections of each matrix, the next twenty,
        and so on, and the channel names.

        Parameters
        ----------
        path : path-like or None, default=None
            Where to write the page, atomically.
        title : str, default="Connections between channels"
            Title of the page.
        top : int, default=300
            Maximum number of connections of each matrix.
        overwrite : bool, default=False
            Whether to replace an existing file.

        Returns
        -------
        str
            The page.

        Raises
        ------
        ImportError
            If plotly is not installed.
        FileExistsError
            If the file exists and `overwrite` is False.
        """
        check_count("top", top, 1)
        if path is not None:
            path = check_output_file(path, (".html", ".htm"), overwrite)
        heads = self._strongest(top)
        figure = connections_figure(
            heads,
            on_sphere(self._info),
            self._names,
            self._titles,
            title=title,
            caption=self.caption_,
            label=self._label,
            directed=self.directed_,
            colours=self._colours(heads),
        )
        config = {"displaylogo": False, "responsive": True}
        page = figure.to_html(include_plotlyjs=True, config=config)
        if path is not None:
            with replacing(path) as temporary:
                temporary.write_text(page, encoding="utf-8")
        return page

    @property
    def _label(self):
        return f"{self.unit}, beyond the channels' own"

    def _colours(self, heads, *, dark=False):
        """Return colours of strengths, the larger, the farther from the background, and limits."""
        limit = abs(self.strengths_).max() or 1.0  # any scale will do where nothing exceeds
        if any(strength < 0 for edges in heads for _, _, strength in edges):
            return ("#3b7dc4", "#7f7f7f" if dark else "#c9c9c9", "#c8383e"), (-limit, limit)
        ends = ("#4a3d4f", "#f6dcf0") if dark else ("#d8d2e0", "#5c1a58")
        return (ends[0], "#b07aa1", ends[1]), (0, limit)

    def _strongest(self, top):
        """Choose connections (query, key, strength) of each matrix, the strongest first."""
        n_chans = len(self._names)
        pairs = np.argwhere(np.tri(n_chans, k=n_chans if self.directed_ else 0)).tolist()
        heads = []
        for matrix in self.strengths_:
            edges = [(*pair, float(matrix[*pair])) for pair in pairs if matrix[*pair]]
            heads.append(sorted(edges, key=lambda edge: -abs(edge[2]))[:top])
        return heads


def _beyond_single_channels(matrices, *, directed):
    """Subtract what follows from single channels: keys of all queries, or a sum for each pair."""
    n_chans = matrices.shape[1]
    others = matrices * ~np.eye(n_chans, dtype=bool)
    if directed:
        # Leaving out the connection itself: the mean then does not depend on it.
        return matrices - (others.sum(axis=1, keepdims=True) - others) / (n_chans - 2)
    # Least squares of a sum of one number for each channel, over all pairs.
    sums = others.sum(axis=1)
    total = sums.sum(axis=1, keepdims=True) / (2 * n_chans - 2)
    own = (sums - total) / (n_chans - 2)
    return matrices - own[:, :, np.newaxis] - own[:, np.newaxis]


def _draw_head(ax, places):
    """Draw the outline of a head from above, in the colour of axes, and all electrodes."""
    from matplotlib import rcParams

    line = {"color": rcParams["axes.edgecolor"], "linewidth": 1, "zorder": 1}
    turn = np.linspace(0, 2 * np.pi, 101)
    ax.plot(np.sin(turn), np.cos(turn), **line)
    ax.plot([-0.18, 0, 0.18], [0.985, 1.15, 0.985], **line)
    for side in (-1, 1):
        ax.plot(side * (1 + 0.09 * np.cos(turn[:51] - np.pi / 2)), 0.2 * np.cos(turn[:51]), **line)
    ax.scatter(*places.T, s=9, color=ink(), linewidths=0, alpha=0.6, zorder=4)
    reach = max(1.2, 1.1 * np.abs(places).max())
    ax.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, 1.2))
    ax.set_axis_off()


def _draw_edges(ax, edges, places, scale, *, directed):
    """Draw arcs from key to query, the strongest on top."""
    from matplotlib.patches import FancyArrowPatch

    limit = scale.norm.vmax
    for rank, (query, key, strength) in enumerate(reversed(edges)):
        size = min(1.0, abs(strength) / limit)
        ax.add_patch(
            FancyArrowPatch(
                places[key],
                places[query],
                # Bent to one side, so that the two directions of a pair stay apart.
                connectionstyle="arc3,rad=0.18" if directed else "arc3,rad=0",
                arrowstyle="-|>" if directed else "-",
                mutation_scale=5 + 7 * size,
                shrinkA=2.5,
                shrinkB=3.5 if directed else 2.5,
                linewidth=0.5 + 2.2 * size,
                color=scale.to_rgba(strength),
                alpha=0.4 + 0.6 * size,
                zorder=2 + rank / (len(edges) + 1),
            )
        )

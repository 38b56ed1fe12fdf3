"""How channel values develop from layer to layer."""

from itertools import cycle

import numpy as np

from skeegformer._validation import check_one_of, name_channels
from skeegformer.plotting._style import (
    DIVERGING,
    GREY,
    OKABE_ITO,
    SEQUENTIAL,
    check_finite,
    joint_limits,
    label_channels,
    open_axes,
    order_channels,
)
from skeegformer.plotting._summaries import explain, scale_of


class LayerDisplay:
    """Channel values after each layer, as lines or as a heat map.

    Best made by `from_explanation` or `from_estimator`. For a row of scalp maps see
    ``TopomapDisplay.from_explanation(explanation, by="layer")``.

    Parameters
    ----------
    values : ndarray of shape (n_layers, n_chans)
        What to draw.
    ch_names : list of str or None, default=None
        Names; None calls them "channel 0" and so on.
    unit : str, default="share of attention (%)"
        Label of the axis, or of the colour bar.
    signed : bool, default=False
        Whether values may be negative; if so, the heat map is white at 0.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    ax_ : matplotlib.axes.Axes
        The axes.
    axes_ : ndarray of matplotlib.axes.Axes of shape (1,)
        The same.
    order_ : ndarray of int
        Channels with a labelled line, the largest after the last layer first; or the channel
        of each row of the heat map.
    lines_ : list of matplotlib.lines.Line2D
        The labelled lines; empty for a heat map.
    image_ : matplotlib.image.AxesImage or None
        The heat map.

    See Also
    --------
    TopomapDisplay : Layers as scalp maps.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import LayerDisplay
    >>> display = LayerDisplay([[40.0, 30, 30], [10, 20, 70]], ["C3", "Cz", "C4"]).plot(n_top=2)
    >>> [display.ch_names[i] for i in display.order_]
    ['C4', 'Cz']
    """

    def __init__(self, values, ch_names=None, *, unit="share of attention (%)", signed=False):
        self.values = values
        self.ch_names = ch_names
        self.unit = unit
        self.signed = signed

    @classmethod
    def from_explanation(cls, explanation, **kwargs):
        """Draw the mean of an explanation's layers over its epochs.

        Parameters
        ----------
        explanation : Explanation
            By a method that goes through the layers.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        LayerDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the explanation has no values of layers.
        """
        if explanation.layer_values is None:
            raise ValueError(
                f"An explanation by {explanation.method!r} has no values of layers; "
                "method='rollout' makes them."
            )
        scale = scale_of(explanation)
        return cls(
            scale.factor * explanation.layer_values.mean(axis=0),
            explanation.ch_names,
            unit=scale.unit,
            signed=scale.signed,
        ).plot(**kwargs)

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, groups=None, method="rollout", **kwargs):
        """Explain the predictions for X, and draw the layers.

        Parameters
        ----------
        estimator : Pipeline or EEGTransformerClassifier
            Fitted.
        X : mne.Epochs, list of mne.Epochs or array-like of shape (n_epochs, n_chans, n_times)
            Epochs to explain.
        y : array-like of shape (n_epochs,) or None, default=None
            True labels.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects; None takes those of Epochs' metadata, where there are any.
        method : str, default="rollout"
            The method of `AttentionExplainer`; one that goes through the layers.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        LayerDisplay
            Drawn.
        """
        return cls.from_explanation(explain(estimator, X, y, groups, method=method), **kwargs)

    def plot(self, ax=None, *, kind="lines", n_top=8, names=None, cmap=None, vlim=None):
        """Draw the layers.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where; None makes a figure.
        kind : {"lines", "heatmap"}, default="lines"
            A line for each channel, or a row of a heat map, ordered by scalp region.
        n_top : int, default=8
            How many lines to colour and label: the largest absolute values after the last
            layer. The others are grey.
        names : bool or None, default=None
            Whether the heat map has the name of every channel rather than regions; None does
            so for up to 32 channels.
        cmap : str or matplotlib.colors.Colormap or None, default=None
            Colours of the heat map; None takes viridis, or RdBu_r for signed values.
        vlim : tuple of (float, float) or None, default=None
            Colour limits of the heat map; None spans the values.

        Returns
        -------
        LayerDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If `kind` is something else, or values, names and axes do not fit each other.
        """
        check_one_of("kind", kind, ("lines", "heatmap"))
        values = np.asarray(self.values, dtype=float)
        if values.ndim != 2:
            raise ValueError(
                f"The values have shape {values.shape}, but layers need (n_layers, n_chans)."
            )
        check_finite("The array of layers", values)
        ch_names = name_channels(self.ch_names, values.shape[1])
        n_layers = len(values)
        size = (max(3.6, 2.4 + 0.45 * n_layers), 3.4 if kind == "lines" else 4.6)
        self.axes_ = open_axes(ax, 1, figsize=size)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.lines_, self.image_ = [], None
        if kind == "lines":
            self._draw_lines(values, ch_names, n_top)
        else:
            self._draw_heatmap(values, ch_names, names, cmap, vlim)
        self.ax_.set_xlabel("layer")
        return self

    def _draw_lines(self, values, ch_names, n_top):
        if n_top < 1:
            raise ValueError(f"n_top={n_top!r} leaves no line to label; give at least 1.")
        ax = self.ax_
        layers = np.arange(1, len(values) + 1)
        ranked = np.argsort(-np.abs(values[-1]), kind="stable")
        self.order_, others = ranked[:n_top], ranked[n_top:]
        if len(others):
            ax.plot(layers, values[:, others], color=GREY, linewidth=0.6, alpha=0.5)
        for colour, i in zip(cycle(OKABE_ITO), self.order_, strict=False):
            (line,) = ax.plot(layers, values[:, i], color=colour, linewidth=1.8, marker="o", ms=4)
            self.lines_.append(line)
        ax.set_xticks(layers)
        ax.set_ylabel(self.unit, parse_math=False)
        ax.spines[["top", "right"]].set_visible(False)
        if (values < 0).any():
            ax.axhline(0, color="black", linewidth=0.8)
        labels = [
            (ch_names[i], values[-1, i], line.get_color())
            for i, line in zip(self.order_, self.lines_, strict=True)
        ]
        if len(others):
            labels.append((f"{len(others)} others", np.median(values[-1, others]), GREY))
        _label_ends(ax, layers[-1], labels)

    def _draw_heatmap(self, values, ch_names, names, cmap, vlim):
        ax = self.ax_
        self.order_, regions = order_channels(self.ch_names, values.shape[1])
        low, high = vlim or joint_limits([values], symmetric=self.signed)
        self.image_ = ax.imshow(
            values[:, self.order_].T,
            cmap=cmap or (DIVERGING if self.signed else SEQUENTIAL),
            vmin=low,
            vmax=high,
            aspect="auto",
            interpolation="nearest",
        )
        label_channels(
            ax,
            "y",
            [ch_names[i] for i in self.order_],
            regions,
            write_names=names,
            colour="0.4" if self.signed else "white",
        )
        ax.set_xticks(range(len(values)), range(1, len(values) + 1))
        self.figure_.colorbar(self.image_, ax=ax).set_label(self.unit, parse_math=False)


def _label_ends(ax, x, labels):
    """Write labels (text, height of the line's end, colour) to the right of lines."""
    low, high = ax.get_ylim()
    heights = _spread([end for _, end, _ in labels], gap=0.055 * (high - low))
    for (text, end, colour), height in zip(labels, heights, strict=True):
        ax.annotate(
            text,
            (x, end),
            xytext=(1.06, height),
            textcoords=("axes fraction", "data"),
            color=colour,
            va="center",
            fontsize="small",
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6},
            annotation_clip=False,
        )


def _spread(heights, gap):
    """Move heights apart until neighbours are at least `gap` from each other.

    Groups that are too close are centred on their mean.
    """
    order = np.argsort(heights)
    groups = []
    for height in np.asarray(heights, dtype=float)[order]:
        groups.append((height, 1))
        while len(groups) > 1:
            (below, n_below), (above, n_above) = groups[-2:]
            if above - below >= gap * (n_below + n_above) / 2:
                break
            n = n_below + n_above
            groups[-2:] = [((below * n_below + above * n_above) / n, n)]
    spread = [centre + gap * (k - (n - 1) / 2) for centre, n in groups for k in range(n)]
    out = np.empty(len(spread))
    out[order] = spread
    return out

"""Maps of channel values over the scalp."""

from numbers import Integral

import numpy as np

from skeegformer._validation import check_one_of
from skeegformer.plotting._layout import head_layout
from skeegformer.plotting._style import (
    check_finite,
    choose_looks,
    open_axes,
)
from skeegformer.plotting._summaries import condition_means, contrast, explain, scale_of

_MOST_COLUMNS = 6
_N_CONTOURS = 6
_BY = ("class", "subject", "part", "class and part", "layer", None)
_MASK_PARAMS = {
    "marker": "o",
    "markerfacecolor": "white",
    "markeredgecolor": "black",
    "markeredgewidth": 1,
    "markersize": 6,
    "linewidth": 0,
}


class TopomapDisplay:
    """Scalp maps with joint colour limits: of classes, subjects, temporal tokens, bands, layers.

    Best made by `from_explanation` or `from_estimator`.

    Parameters
    ----------
    values : dict of str or (str, str) to ndarray of shape (n_chans,)
        What to draw, by title; titles that are pairs (row, column) make a grid.
    info : mne.Info
        Electrode positions, in the order of the values.
    unit : str, default="share of attention (%)"
        Label of the colour bar.
    signed : bool, default=False
        Whether values may be negative; if so, white is 0 and the limits are symmetric.
    differences : dict of str or (str, str) to ndarray of shape (n_chans,) or None, default=None
        Differences between the above, drawn after them with a colour bar of their own.
    difference_unit : str, default="difference (% points)"
        Label of that colour bar.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_maps,)
        The axes of the maps, differences last.
    ax_ : matplotlib.axes.Axes
        The first of them.
    images_ : list of matplotlib.image.AxesImage
        The maps, differences last.
    colorbar_ : matplotlib.colorbar.Colorbar
        The colour bar that all maps share.
    difference_colorbar_ : matplotlib.colorbar.Colorbar or None
        The one that differences share.

    See Also
    --------
    ChannelBarDisplay : The same values with intervals, and without need of positions.
    LayerDisplay : Layers as lines or as a heat map.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skeegformer import EEGTransformerClassifier, TopomapDisplay, make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> display = TopomapDisplay.from_estimator(classifier, X, y, difference=("left", "right"))
    >>> [axes.get_title() for axes in display.axes_]
    ['left', 'right', 'left − right']
    """

    def __init__(
        self,
        values,
        info,
        *,
        unit="share of attention (%)",
        signed=False,
        differences=None,
        difference_unit="difference (% points)",
    ):
        self.values = values
        self.info = info
        self.unit = unit
        self.signed = signed
        self.differences = differences
        self.difference_unit = difference_unit

    @classmethod
    def from_explanation(cls, explanation, *, by="class", difference=None, **kwargs):
        """Draw an explanation.

        Parameters
        ----------
        explanation : Explanation
            What to draw.
        by : {"class", "subject", "part", "class and part", "layer", None}, default="class"
            A map for each class, subject, temporal token or band ("part"), or layer; for
            "class and part" a grid of classes by parts; for None one map of all epochs.
        difference : tuple of (object, object) or None, default=None
            Two classes (or whatever `by` makes maps of): only they are drawn, and the first
            minus the second. The difference is taken before anything is scaled to percent.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        TopomapDisplay
            Drawn.

        Raises
        ------
        ValueError
            If positions are not known, `by` is something else, or the explanation lacks what
            `by` or `difference` asks for.
        """
        check_one_of("by", by, _BY)
        if explanation.positions is None:
            raise ValueError(
                "A topomap needs electrode positions, and the classifier was fitted on data "
                "without them: pass Epochs with a montage (epochs.set_montage), or give explain "
                "an info=."
            )
        maps, differences = _maps(explanation, by), {}
        if difference is not None:
            maps, differences = contrast(maps, difference, by)
        scale = scale_of(explanation)
        return cls(
            {_title(explanation, by, key): scale.factor * value for key, value in maps.items()},
            explanation.info,
            unit=scale.unit,
            signed=scale.signed,
            differences={key: scale.factor * value for key, value in differences.items()},
            difference_unit=scale.difference_unit,
        ).plot(**kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        groups=None,
        method="rollout",
        by="class",
        difference=None,
        **kwargs,
    ):
        """Explain the predictions for X, and draw that.

        Parameters
        ----------
        estimator : Pipeline or EEGTransformerClassifier
            Fitted.
        X : mne.Epochs or list of mne.Epochs
            Epochs to explain.
        y : array-like of shape (n_epochs,) or None, default=None
            True labels.
        groups : array-like of shape (n_epochs,) or None, default=None
            Subjects; None takes those of Epochs' metadata, where there are any.
        method : str, default="rollout"
            The method of `AttentionExplainer`.
        by : {"class", "subject", "part", "class and part", "layer", None}, default="class"
            See `from_explanation`.
        difference : tuple of (object, object) or None, default=None
            See `from_explanation`.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        TopomapDisplay
            Drawn.
        """
        explanation = explain(estimator, X, y, groups, method=method)
        return cls.from_explanation(explanation, by=by, difference=difference, **kwargs)

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
        vlim : tuple of (float, float) or None, default=None
            Colour limits of all maps but differences; None spans the values of all of them.
        names : bool or int, default=False
            Whether to write the channels' names beside the electrodes; a number writes those of
            as many channels with the largest absolute values in each map.
        mask : ndarray of bool of shape (n_chans,), dict of title to such, or None, default=None
            Electrodes to mark, for example where a test is significant. A single array belongs
            to the differences where there are any, and to all maps where not.
        mask_params : dict or None, default=None
            Look of the marks, as in `mne.viz.plot_topomap`; None makes them white discs.
        n_columns : int or None, default=None
            Number of maps in a row; None chooses. Grids have their own.

        Returns
        -------
        TopomapDisplay
            Itself, with ``figure_``, ``axes_``, ``images_`` and the colour bars.

        Raises
        ------
        ValueError
            If values, masks or axes do not fit the channels and the maps.
        """
        differences = self.differences or {}
        maps = {**self.values, **differences}
        n_chans = len(self.info["ch_names"])
        self._check(maps, n_chans)
        masks = _masks(mask, maps, differences, n_chans)
        n_names = n_chans if names is True else _count("names", names, at_least=0)
        self.axes_ = _panels(ax, list(maps), n_columns)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        looks = choose_looks(
            list(self.values.values()),
            list(differences.values()),
            signed=self.signed,
            cmap=cmap,
            vlim=vlim,
        )
        self.images_ = [
            _draw_map(
                axes,
                values,
                self.info,
                look=look,
                mask=masks.get(title),
                mask_params={**_MASK_PARAMS, **(mask_params or {})},
                n_names=n_names,
            )
            for axes, look, (title, values) in zip(self.axes_, looks, maps.items(), strict=True)
        ]
        _write_titles(self.axes_, list(maps))
        n_values = len(self.values)
        self.colorbar_ = self._add_colorbar(slice(n_values), self.unit)
        self.difference_colorbar_ = None
        if differences:
            self.difference_colorbar_ = self._add_colorbar(
                slice(n_values, None), self.difference_unit
            )
        return self

    def _check(self, maps, n_chans):
        if n_chans < 3:
            raise ValueError(f"A topomap needs at least 3 channels, not {n_chans}.")
        for title, values in maps.items():
            if np.shape(values) != (n_chans,):
                raise ValueError(
                    f"The values of {title!r} have shape {np.shape(values)}, but info has "
                    f"{n_chans} channels."
                )
            check_finite(f"The map of {title!r}", values)

    def _add_colorbar(self, which, label):
        axes = list(self.axes_[which])
        n_rows = len({round(one.get_position().y0, 2) for one in axes})
        height = n_rows * axes[0].get_window_extent().height / self.figure_.dpi
        bar = self.figure_.colorbar(
            self.images_[which][0],
            ax=axes,
            shrink=0.8 if n_rows == 1 else 0.5,
            aspect=16 if n_rows == 1 else 24,
            pad=0.03,
        )
        is_long = 0.07 * len(label) > height
        bar.set_label(label, fontsize="small" if is_long else None, parse_math=False)
        return bar


def _maps(explanation, by):
    """Average an explanation as `by` says; pairs (class, part) for the grid."""
    if by == "part":
        return explanation.part_means()
    if by == "layer":
        if explanation.layer_values is None:
            raise ValueError(
                "by='layer' needs a value after each layer, which this explanation by "
                f"{explanation.method!r} does not have; method='rollout' makes them."
            )
        means = explanation.layer_values.mean(axis=0)
        return {f"layer {k}": mean for k, mean in enumerate(means, 1)}
    if by == "class and part":
        means = condition_means(explanation, explanation.token_values, "class")
        return {
            (label, part): mean[:, k]
            for label, mean in means.items()
            for k, part in enumerate(explanation.parts)
        }
    return condition_means(explanation, explanation.values, by)


def _title(explanation, by, key):
    """Say of classes that they are predicted, where the true ones are not known."""
    if by not in ("class", "class and part") or explanation.y is not None:
        return key
    if isinstance(key, tuple):
        return f"{key[0]} (predicted)", key[1]
    return f"{key} (predicted)"


def _masks(mask, maps, differences, n_chans):
    """Return the mask of each map that has one."""
    if mask is None:
        return {}
    if not isinstance(mask, dict):
        mask = dict.fromkeys(differences or maps, mask)
    masks = {title: np.asarray(one) for title, one in mask.items()}
    for title, one in masks.items():
        if title not in maps:
            raise ValueError(
                f"mask has a map {title!r}, but there are only {', '.join(map(repr, maps))}."
            )
        if one.shape != (n_chans,) or one.dtype != bool:
            raise ValueError(
                f"mask has shape {one.shape} and type {one.dtype}, but has to be boolean with one "
                f"entry for each of {n_chans} channels."
            )
    return masks


def _count(name, value, *, at_least):
    if not isinstance(value, Integral) or value < at_least:
        raise ValueError(f"{name}={value!r} is not a number of at least {at_least}.")
    return int(value)


def _panels(ax, titles, n_columns):
    """Lay the maps out: pairs as a grid, others row by row."""
    n_maps = len(titles)
    if isinstance(titles[0], tuple):
        n_columns = len({column for _, column in titles})
        if len({row for row, _ in titles}) * n_columns != n_maps:
            raise ValueError("Maps with titles (row, column) have to fill a grid.")
    elif n_columns is None:
        n_columns = -(-n_maps // -(-n_maps // _MOST_COLUMNS))
    n_columns = _count("n_columns", n_columns, at_least=1)
    n_rows = -(-n_maps // n_columns)
    size = 2.8 if n_maps <= 2 else 2.4 if n_maps <= 4 else 1.8
    return open_axes(
        ax,
        n_maps,
        nrows=n_rows,
        ncols=n_columns,
        figsize=(size * n_columns + 1.0, (size + 0.25) * n_rows),
    )


def _draw_map(axes, values, info, *, look, mask, mask_params, n_names):
    """Draw one map, and the names of the channels with the largest absolute values."""
    import mne
    from matplotlib.patheffects import withStroke

    cmap, vlim = look
    layout = head_layout(info)
    image, _ = mne.viz.plot_topomap(
        values,
        pos=info if layout is None else layout,
        axes=axes,
        cmap=cmap,
        vlim=vlim,
        mask=mask,
        mask_params=mask_params,
        names=info["ch_names"],
        sphere=None if layout is None else (0, 0, 0, 1),
        contours=np.linspace(*vlim, _N_CONTOURS + 2)[1:-1],  # the same lines in every map
        res=128,
        show=False,
    )
    # MNE writes names onto the electrodes; they are moved beside them, where they can be read.
    written = list(axes.texts)
    for text in written:
        text.remove()
    for i in np.argsort(-np.abs(values), kind="stable")[:n_names]:
        axes.annotate(
            info["ch_names"][i],
            written[i].get_position(),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=5 if n_names > 20 else 7,
            zorder=20,
            parse_math=False,
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
        )
    return image


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

"""From which channels each channel takes: matrices, ordered by scalp region."""

import numpy as np

from skeegformer._validation import check_one_of, name_channels
from skeegformer.plotting._style import (
    DIVERGING,
    choose_looks,
    label_channels,
    open_axes,
    order_channels,
)
from skeegformer.plotting._summaries import condition_means, contrast, explain, scale_of


class TokenMatrixDisplay:
    """Matrices of query channels (rows) and key channels (columns).

    Information flows from the key to the query. Best made by `from_explanation` or
    `from_estimator`.

    Parameters
    ----------
    values : dict of str to ndarray of shape (n_chans, n_chans)
        What to draw, by title.
    ch_names : list of str or None, default=None
        Names; without them channels stay in their own order.
    unit : str, default="share of attention (%)"
        Label of the colour bar.
    signed : bool, default=False
        Whether values may be negative; if so, white is 0 and the limits are symmetric.
    differences : dict of str to ndarray of shape (n_chans, n_chans) or None, default=None
        Differences between the above, drawn after them with a colour bar of their own.
    difference_unit : str, default="difference (% points)"
        Label of that colour bar.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_matrices,)
        The axes of the matrices, differences last.
    ax_ : matplotlib.axes.Axes
        The first of them.
    images_ : list of matplotlib.image.AxesImage
        The matrices, differences last.
    order_ : ndarray of int of shape (n_chans,)
        The channel of each row and column.
    colorbar_ : matplotlib.colorbar.Colorbar
        The colour bar of the matrices.
    difference_colorbar_ : matplotlib.colorbar.Colorbar or None
        The one of the differences.

    Examples
    --------
    >>> import matplotlib, numpy as np
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import TokenMatrixDisplay
    >>> attention = np.array([[80.0, 5, 15], [10, 70, 20], [25, 15, 60]])
    >>> display = TokenMatrixDisplay({"rest": attention}, ["O1", "C3", "Fz"]).plot()
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['Fz', 'C3', 'O1']
    >>> display.images_[0].get_clim()
    (5.0, 25.0)
    """

    def __init__(
        self,
        values,
        ch_names=None,
        *,
        unit="share of attention (%)",
        signed=False,
        differences=None,
        difference_unit="difference (% points)",
    ):
        self.values = values
        self.ch_names = ch_names
        self.unit = unit
        self.signed = signed
        self.differences = differences
        self.difference_unit = difference_unit

    @classmethod
    def from_explanation(cls, explanation, *, by=None, difference=None, **kwargs):
        """Draw the connections of an explanation.

        Parameters
        ----------
        explanation : Explanation
            Made with ``connections=True``.
        by : {"class", "subject", None}, default=None
            A matrix for each class or subject, or one for all epochs.
        difference : tuple of (object, object) or None, default=None
            Two of the classes or subjects: only they are drawn, and the first minus the
            second. The difference is taken before anything is scaled to percent.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        TokenMatrixDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there are no connections, or no such conditions.
        """
        check_one_of("by", by, ("class", "subject", None))
        if explanation.connections is None:
            raise ValueError(
                "This explanation has no connections between channels: make it by "
                "AttentionExplainer(connections=True)."
            )
        means, differences = condition_means(explanation, explanation.connections, by), {}
        if difference is not None:
            means, differences = contrast(means, difference, by)
        scale = scale_of(explanation)
        suffix = " (predicted)" if by == "class" and explanation.y is None else ""
        return cls(
            {f"{title}{suffix}": scale.factor * mean for title, mean in means.items()},
            explanation.ch_names,
            unit=scale.unit,
            signed=scale.signed,
            differences={title: scale.factor * mean for title, mean in differences.items()},
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
        by=None,
        difference=None,
        **kwargs,
    ):
        """Explain the predictions for X with connections, and draw those.

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
            The method of `AttentionExplainer`; one that gives connections.
        by : {"class", "subject", None}, default=None
            See `from_explanation`.
        difference : tuple of (object, object) or None, default=None
            See `from_explanation`.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        TokenMatrixDisplay
            Drawn.
        """
        explanation = explain(estimator, X, y, groups, method=method, connections=True)
        return cls.from_explanation(explanation, by=by, difference=difference, **kwargs)

    def plot(self, ax=None, *, diagonal=False, names=None, cmap=None, vlim=None):
        """Draw the matrices.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            As many as there are matrices; None makes a figure.
        diagonal : bool, default=False
            Whether to show what channels take from themselves. It often is several times as
            large as all else, and would take the range of colours for itself.
        names : bool or None, default=None
            Whether to write the name of every channel rather than regions; None does so for
            up to 32 channels.
        cmap : str or matplotlib.colors.Colormap or None, default=None
            Colours; None takes viridis, for signed values RdBu_r, which differences always have.
        vlim : tuple of (float, float) or None, default=None
            Colour limits of all matrices but differences; None spans what is shown of them.

        Returns
        -------
        TokenMatrixDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If matrices, names or axes do not fit each other.
        """
        differences = self.differences or {}
        n_chans = self._check({**self.values, **differences})
        ch_names = name_channels(self.ch_names, n_chans)
        self.order_, regions = order_channels(self.ch_names, n_chans)
        shown = [self._arrange(matrix, diagonal) for matrix in self.values.values()]
        shown_differences = [self._arrange(matrix, diagonal) for matrix in differences.values()]
        n_panels = len(shown) + len(shown_differences)
        self.axes_ = open_axes(
            ax, n_panels, ncols=n_panels, figsize=(0.9 + 3.9 * n_panels, 4.6), sharey=True
        )
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        looks = choose_looks(shown, shown_differences, signed=self.signed, cmap=cmap, vlim=vlim)
        titles = [*self.values, *differences]
        self.images_ = []
        for axes, title, matrix, look in zip(
            self.axes_, titles, shown + shown_differences, looks, strict=True
        ):
            self.images_.append(_draw_matrix(axes, matrix, look))
            axes.set_title(title, parse_math=False)
            is_light = look[0] == DIVERGING
            for axis in "xy":
                label_channels(
                    axes,
                    axis,
                    [ch_names[i] for i in self.order_],
                    regions,
                    write_names=names,
                    colour="0.4" if is_light else "white",
                )
            axes.set_xlabel("key (information from)")
        self.ax_.set_ylabel("query (information to)")
        n_values = len(self.values)
        self.colorbar_ = self._add_colorbar(slice(n_values), self.unit)
        self.difference_colorbar_ = None
        if differences:
            self.difference_colorbar_ = self._add_colorbar(
                slice(n_values, None), self.difference_unit
            )
        if ax is None:
            # Squares of equal size settle in two steps; a figure that is saved now takes one.
            self.figure_.draw_without_rendering()
        return self

    def _check(self, matrices):
        """Refuse what is not square, and matrices of different sizes."""
        n_chans = len(next(iter(matrices.values())))
        for title, matrix in matrices.items():
            if np.shape(matrix) != (n_chans, n_chans):
                raise ValueError(
                    f"The matrix of {title!r} has shape {np.shape(matrix)}, but has to be "
                    f"({n_chans}, {n_chans}): query channels by key channels."
                )
        if n_chans < 2:
            raise ValueError("There are no connections within a single channel.")
        return n_chans

    def _arrange(self, matrix, diagonal):
        """Order rows and columns, and blank the diagonal."""
        arranged = np.array(matrix, dtype=float)[np.ix_(self.order_, self.order_)]
        if not diagonal:
            np.fill_diagonal(arranged, np.nan)
        return arranged

    def _add_colorbar(self, which, label):
        bar = self.figure_.colorbar(
            self.images_[which][0], ax=list(self.axes_[which]), shrink=0.8, pad=0.03
        )
        bar.set_label(label, parse_math=False)
        return bar


def _draw_matrix(axes, matrix, look):
    """Draw a matrix; what is blank is grey."""
    from matplotlib import colormaps
    from matplotlib.colors import Colormap

    cmap, (low, high) = look
    cmap = (cmap if isinstance(cmap, Colormap) else colormaps[cmap]).with_extremes(bad="0.7")
    return axes.imshow(matrix, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")

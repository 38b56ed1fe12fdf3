"""Whether an explanation is true of its model: curves of deletion and insertion."""

from dataclasses import KW_ONLY, dataclass

import pandas as pd

from skeegformer._validation import check_one_of
from skeegformer.plotting._style import GREY, OKABE_ITO, open_axes, tidy, write_caption

_COLUMNS = ("curve", "order", "n_channels", "mean", "low", "high")
_PANELS = {
    "deletion": ("Deletion: lower is better", "channels removed"),
    "insertion": ("Insertion: higher is better", "channels inserted"),
}
_LOOKS = {
    "explanation": {"color": OKABE_ITO[0], "linewidth": 2.0, "zorder": 4},
    "oracle": {"color": OKABE_ITO[1], "linewidth": 1.5, "linestyle": "--", "zorder": 3},
    "random": {"color": GREY, "linewidth": 1.5, "linestyle": ":", "zorder": 2},
}


@dataclass(eq=False, repr=False)
class FaithfulnessDisplay:
    """Curves of deletion and insertion, between a random order and an oracle.

    Channels are removed from the epochs, or put back, in the order of the explanation. The
    probability of the class falls (rises) fast if the explanation found what the model needs.
    ``explanation.evaluate().plot()`` makes it.

    Parameters
    ----------
    curves : pandas.DataFrame
        Columns ``curve`` ("deletion" or "insertion"), ``order`` ("explanation", "random" or
        "oracle"), ``n_channels`` that are removed (inserted), ``mean``, ``low`` and ``high``.
        The axis is logarithmic, since few channels matter.
    verdict : str or None, default=None
        A sentence or two, written below.

    Attributes
    ----------
    figure_, axes_, ax_ : Figure, ndarray of Axes, Axes
        The figure, its axes (deletion and insertion), and the first of them.
    lines_, areas_ : dict of (str, str) to matplotlib.lines.Line2D, and to float
        The line of each curve and order, and the mean over its points.
    caption_ : matplotlib.text.Text or None
        The verdict.

    Examples
    --------
    >>> import matplotlib, pandas as pd
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import FaithfulnessDisplay
    >>> curves = pd.DataFrame({"curve": "deletion", "order": ["explanation", "explanation"],
    ...                        "n_channels": [0, 64], "mean": [0.9, 0.5],
    ...                        "low": [0.8, 0.4], "high": [1.0, 0.6]})
    >>> display = FaithfulnessDisplay(curves).plot()
    >>> round(display.areas_["deletion", "explanation"], 3)
    0.7
    """

    curves: pd.DataFrame
    _: KW_ONLY
    verdict: str | None = None

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            As many as there are curves of deletion and insertion; None makes a figure. The
            verdict is written only below a figure of its own.

        Returns
        -------
        FaithfulnessDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If the curves lack a column, or are of some other kind.
        """
        curves = self._check()
        panels = [curve for curve in _PANELS if (curves["curve"] == curve).any()]
        size = 0.6 + 3.5 * len(panels), 3.6
        self.axes_ = open_axes(ax, len(panels), ncols=len(panels), figsize=size, sharey=True)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.lines_, self.areas_ = {}, {}
        for axes, curve in zip(self.axes_, panels, strict=True):
            self._draw_panel(axes, curve, curves[curves["curve"] == curve])
        self.ax_.set_ylabel("probability of the class\n(bands: 95 % intervals)")
        self.caption_ = write_caption(self.figure_, self.verdict) if ax is None else None
        return self

    def _check(self):
        missing = [column for column in _COLUMNS if column not in self.curves]
        if missing:
            raise ValueError(
                f"The curves lack the columns {', '.join(missing)}; they need "
                f"{', '.join(_COLUMNS)}."
            )
        for column, known in (("curve", _PANELS), ("order", _LOOKS)):
            for value in self.curves[column].unique():
                check_one_of(column, value, tuple(known))
        if len(self.curves) == 0:
            raise ValueError("The curves are empty: there is nothing to draw.")
        return self.curves.sort_values("n_channels", kind="stable")

    def _draw_panel(self, axes, curve, rows):
        title, label = _PANELS[curve]
        for order, look in _LOOKS.items():
            one = rows[rows["order"] == order]
            if one.empty:
                continue
            area = one["mean"].mean()
            counts = one["n_channels"]
            axes.fill_between(
                counts, one["low"], one["high"], color=look["color"], alpha=0.2, linewidth=0
            )
            (line,) = axes.plot(counts, one["mean"], label=f"{order} (area {area:.2f})", **look)
            self.lines_[curve, order] = line
            self.areas_[curve, order] = float(area)
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel(label)
        most = rows["n_channels"].max()
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        ticks = [0, *(2**k for k in range(int(most).bit_length()) if 2**k <= most)]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlim(0, most)
        tidy(axes)
        axes.legend(fontsize="small", frameon=False, loc="best")

"""Whether an explanation is true of its model: curves of deletion and insertion."""

import textwrap

from skeegformer.plotting._style import GREY, OKABE_ITO, open_axes
from skeegformer.plotting._summaries import explain

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


class FaithfulnessDisplay:
    """Curves of deletion and insertion, between a random order and an oracle.

    Channels are removed from the epochs, or put back, in the order of the explanation. The
    probability of the class falls (rises) fast if the explanation found what the model needs.
    Best made by `from_faithfulness`, `from_explanation` or `from_estimator`.

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
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes
        Deletion and insertion.
    ax_ : matplotlib.axes.Axes
        The first of them.
    lines_ : dict of (str, str) to matplotlib.lines.Line2D
        The line of each curve and order.
    areas_ : dict of (str, str) to float
        The mean over the points of each of them.
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

    def __init__(self, curves, *, verdict=None):
        self.curves = curves
        self.verdict = verdict

    @classmethod
    def from_faithfulness(cls, faithfulness, **kwargs):
        """Draw the result of ``explanation.evaluate()``.

        Parameters
        ----------
        faithfulness : Faithfulness
            What to draw.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        FaithfulnessDisplay
            Drawn.
        """
        return cls(faithfulness.curves, verdict=faithfulness.verdict).plot(**kwargs)

    @classmethod
    def from_explanation(cls, explanation, **kwargs):
        """Put an explanation to the test, and draw the result.

        Parameters
        ----------
        explanation : Explanation
            What to test; it has to know its model.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        FaithfulnessDisplay
            Drawn.
        """
        return cls.from_faithfulness(explanation.evaluate(), **kwargs)

    @classmethod
    def from_estimator(cls, estimator, X, y=None, *, groups=None, method="rollout", **kwargs):
        """Explain the predictions for X, put the explanation to the test, and draw the result.

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
            The method of `AttentionExplainer`.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        FaithfulnessDisplay
            Drawn.
        """
        return cls.from_explanation(explain(estimator, X, y, groups, method=method), **kwargs)

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
        width = 0.6 + 3.5 * len(panels)
        self.axes_ = open_axes(
            ax, len(panels), ncols=len(panels), figsize=(width, 3.6), sharey=True
        )
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        self.lines_, self.areas_ = {}, {}
        for axes, curve in zip(self.axes_, panels, strict=True):
            self._draw_panel(axes, curve, curves[curves["curve"] == curve])
        self.ax_.set_ylabel("probability of the class\n(bands: 95 % intervals)")
        self.caption_ = None
        if ax is None and self.verdict:
            text = textwrap.fill(self.verdict, int(15 * width))
            self.caption_ = self.figure_.supxlabel(
                text, fontsize="small", ha="left", x=0.02, parse_math=False
            )
        return self

    def _check(self):
        missing = [column for column in _COLUMNS if column not in self.curves]
        if missing:
            raise ValueError(
                f"The curves lack the columns {', '.join(missing)}; they need "
                f"{', '.join(_COLUMNS)}."
            )
        for column, known in (("curve", _PANELS), ("order", _LOOKS)):
            strange = sorted(set(self.curves[column]) - set(known))
            if strange:
                raise ValueError(
                    f"The curves have {column} {strange[0]!r}, which is none of "
                    f"{', '.join(map(repr, known))}."
                )
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
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.legend(fontsize="small", frameon=False, loc="best")

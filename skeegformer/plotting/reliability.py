"""Whether a classifier is right as often as it says."""

import numpy as np

from skeegformer.plotting._benchmark import tidy
from skeegformer.plotting._style import OKABE_ITO, open_axes

# Words along the diagonal, where no classifier of up to four classes has points.
_ALONG = {
    "ha": "center",
    "va": "center",
    "rotation": 45,
    "transform_rotates_text": True,
    "fontsize": "small",
    "color": "0.5",
    "style": "italic",
}


class ReliabilityDisplay:
    """Accuracy against confidence, above a histogram of confidence.

    Below the diagonal a classifier is surer than it should be. Best made by
    `from_predictions` or `from_estimator`.

    Parameters
    ----------
    curves : dict of str to tuple of ndarray
        For each model what `reliability_curve` returns: accuracy, confidence and count of
        each bin.
    errors : dict of str to float or None, default=None
        The expected calibration error of each model, for title and legend.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes of shape (2,)
        Accuracy, and the histogram.
    ax_ : matplotlib.axes.Axes
        The first of them.
    lines_ : dict of str to matplotlib.lines.Line2D
        Accuracy against confidence of each model.
    bars_ : dict of str to matplotlib.patches.StepPatch
        Share of epochs in each bin of confidence.

    See Also
    --------
    skeegformer.evaluation.metrics.expected_calibration_error : The number in the title.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import ReliabilityDisplay
    >>> proba = [[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.2, 0.8]]
    >>> y = ["left", "right", "right", "left"]
    >>> display = ReliabilityDisplay.from_predictions(y, proba, classes=["left", "right"])
    >>> display.ax_.get_title()
    'expected calibration error 0.250'
    """

    def __init__(self, curves, *, errors=None):
        self.curves = curves
        self.errors = errors

    @classmethod
    def from_predictions(cls, y_true, proba, *, classes, n_bins=10, name="", **kwargs):
        """Draw predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_epochs,)
            True labels.
        proba : array-like of shape (n_epochs, n_classes), or dict of str to array-like
            Predicted probabilities; for several models a dict with their names.
        classes : array-like of shape (n_classes,)
            The label of each column, such as ``classifier.classes_``.
        n_bins : int, default=10
            Number of bins between 0 and 1.
        name : str, default=""
            The name of a single model.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ReliabilityDisplay
            Drawn.

        Raises
        ------
        ValueError
            As `reliability_curve`.
        """
        from skeegformer.evaluation.metrics import expected_calibration_error, reliability_curve

        models = proba if isinstance(proba, dict) else {name: proba}
        options = {"classes": classes, "n_bins": n_bins}
        curves = {one: reliability_curve(y_true, p, **options) for one, p in models.items()}
        errors = {
            one: expected_calibration_error(y_true, p, **options) for one, p in models.items()
        }
        return cls(curves, errors=errors).plot(**kwargs)

    @classmethod
    def from_estimator(cls, estimator, X, y, *, n_bins=10, name="", **kwargs):
        """Predict the probabilities of epochs, and draw them.

        Parameters
        ----------
        estimator : classifier
            Fitted, with ``predict_proba``.
        X : mne.Epochs, list of mne.Epochs or array-like of shape (n_epochs, n_chans, n_times)
            Epochs that it was not trained on.
        y : array-like of shape (n_epochs,)
            True labels.
        n_bins : int, default=10
            Number of bins between 0 and 1.
        name : str, default=""
            The name of the model.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ReliabilityDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the estimator predicts no probabilities, or as `reliability_curve`.
        """
        if not hasattr(estimator, "predict_proba"):
            raise ValueError(
                f"{type(estimator).__name__} has no predict_proba, so it has no confidence to draw."
            )
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            classes=estimator.classes_,
            n_bins=n_bins,
            name=name,
            **kwargs,
        )

    def plot(self, ax=None):
        """Draw accuracy and histogram.

        Parameters
        ----------
        ax : sequence of two matplotlib.axes.Axes or None, default=None
            For accuracy and histogram; None makes a figure.

        Returns
        -------
        ReliabilityDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If there are no curves, or not two axes.
        """
        if not self.curves:
            raise ValueError("There are no curves to draw.")
        several = len(self.curves) > 1
        self.axes_ = open_axes(
            ax,
            2,
            nrows=2,
            sharex=True,
            figsize=(4.4, 5.6),
            height_ratios=(3, 1),
        )
        self.ax_, histogram = self.axes_
        self.figure_ = self.ax_.figure
        self.ax_.plot((0, 1), (0, 1), color="0.5", linewidth=1.0, linestyle="--", zorder=1)
        self.lines_, self.bars_ = {}, {}
        errors = self.errors or {}
        for k, (name, (accuracy, confidence, count)) in enumerate(self.curves.items()):
            colour = OKABE_ITO[k % len(OKABE_ITO)]
            label = name
            if several and name in errors:
                label = f"{name} ({errors[name]:.3f})"
            filled = count > 0
            (self.lines_[name],) = self.ax_.plot(
                confidence[filled],
                accuracy[filled],
                color=colour,
                linewidth=1.5,
                label=label,
                zorder=3,
            )
            # Bins of few epochs say little, and look it.
            self.ax_.scatter(
                confidence[filled],
                accuracy[filled],
                s=12 + 90 * count[filled] / count.max(),
                color=colour,
                edgecolor="white",
                linewidth=0.6,
                zorder=4,
                clip_on=False,
            )
            self.bars_[name] = histogram.stairs(
                100 * count / count.sum(),
                np.linspace(0, 1, len(count) + 1),
                color=colour,
                fill=not several,
                linewidth=1.5,
                alpha=0.6 if not several else 1.0,
            )
        self._finish(histogram, several, errors)
        return self

    def _finish(self, histogram, several, errors):
        self.ax_.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy")
        self.ax_.text(0.17, 0.22, "too unsure", **_ALONG)
        self.ax_.text(0.22, 0.17, "too sure", **_ALONG)
        histogram.set(xlabel="confidence: probability of the predicted class", ylabel="epochs (%)")
        histogram.set_ylim(0)
        for axes in self.axes_:
            tidy(axes)
        if several:
            title = "expected calibration error" if errors else None
            legend = self.ax_.legend(
                loc="upper left", fontsize="small", frameon=False, title=title, alignment="left"
            )
            legend.get_title().set_fontsize("small")
        elif errors:
            (name, error), *_ = errors.items()
            title = f"{name}\n" * bool(name) + f"expected calibration error {error:.3f}"
            self.ax_.set_title(title, fontsize="medium", parse_math=False)

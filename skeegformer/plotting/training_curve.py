"""How losses, accuracies and the learning rate went from pass to pass."""

import pandas as pd

from skeegformer.plotting._benchmark import tidy
from skeegformer.plotting._style import OKABE_ITO, open_axes

_PANELS = {
    "loss": {"train_loss": "training", "valid_loss": "validation"},
    "accuracy": {"train_acc": "training", "valid_acc": "validation"},
    "learning rate": {"lr": "learning rate"},
}
_COLOURS = {"training": OKABE_ITO[0], "validation": OKABE_ITO[1], "learning rate": OKABE_ITO[2]}


class TrainingCurveDisplay:
    """Losses, accuracies and the learning rate of a training, pass by pass.

    Parameters
    ----------
    history : pandas.DataFrame
        A row for each pass over the data: ``epoch``, and of ``train_loss``, ``valid_loss``,
        ``train_acc``, ``valid_acc`` and ``lr`` those that are known.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure.
    axes_ : ndarray of matplotlib.axes.Axes
        A panel for the loss, one for the accuracy, one for the learning rate.
    best_ : int or None
        The pass with the lowest loss in validation.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skeegformer import EEGTransformerClassifier, TrainingCurveDisplay
    >>> from skeegformer import make_simulated_eeg
    >>> X, y, metadata, truth = make_simulated_eeg(n_subjects=2, random_state=0)
    >>> classifier = EEGTransformerClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> len(TrainingCurveDisplay.from_estimator(classifier).axes_)
    1
    """

    def __init__(self, history):
        self.history = history

    @classmethod
    def from_estimator(cls, estimator, **kwargs):
        """Draw the history of a fitted classifier.

        Parameters
        ----------
        estimator : EEGTransformerClassifier
            Fitted.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        TrainingCurveDisplay
            Drawn.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `estimator` is not fitted.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator, "history_")
        rows = [{k: v for k, v in row.items() if k != "batches"} for row in estimator.history_]
        return cls(pd.DataFrame(rows)).plot(**kwargs)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, sequence of them or None, default=None
            One for each panel that there are values for; None makes a figure.

        Returns
        -------
        TrainingCurveDisplay
            Itself, drawn.

        Raises
        ------
        ValueError
            If there is nothing to draw, or axes do not fit the panels.
        """
        panels = {
            name: {column: label for column, label in columns.items() if column in self.history}
            for name, columns in _PANELS.items()
        }
        panels = {name: columns for name, columns in panels.items() if columns}
        if not panels or self.history.empty:
            raise ValueError("The history is empty: there is nothing to draw.")
        self.axes_ = open_axes(ax, len(panels), ncols=len(panels), figsize=(3.6 * len(panels), 2.9))
        self.figure_ = self.axes_[0].figure
        self.best_ = None
        if "valid_loss" in self.history:
            lowest = self.history["valid_loss"].idxmin()
            self.best_ = int(self.history.loc[lowest, "epoch"])
        for axes, (name, columns) in zip(self.axes_, panels.items(), strict=True):
            self._draw(axes, name, columns)
        return self

    def _draw(self, ax, name, columns):
        # A single pass would be an invisible line.
        marker = "o" if len(self.history) == 1 else None
        for column, label in columns.items():
            colour = _COLOURS[label]
            ax.plot(
                self.history["epoch"], self.history[column], label=label, color=colour,
                linewidth=1.6, marker=marker,
            )  # fmt: skip
        if self.best_ is not None and name != "learning rate":
            label = f"best, pass {self.best_}"
            ax.axvline(self.best_, color="0.4", linestyle=":", linewidth=1.2, label=label)
        if name == "accuracy":
            ax.set_ylim(top=1.02)
        if len(columns) > 1:
            ax.legend(fontsize="small", frameon=False)
        ax.set_xlabel("pass over the data", fontsize="small")
        ax.set_ylabel(name, fontsize="small")
        ax.tick_params(labelsize="small")
        ax.xaxis.get_major_locator().set_params(integer=True)
        tidy(ax)

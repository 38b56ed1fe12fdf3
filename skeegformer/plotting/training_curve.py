"""Loss, accuracy and learning rate over the epochs of training."""

from dataclasses import dataclass

import pandas as pd

from skeegformer.plotting._style import GREY, OKABE_ITO, legend_above, open_axes, tidy

_PANELS = {
    "loss": {"train_loss": "training", "valid_loss": "validation"},
    "accuracy": {"train_acc": "training", "valid_acc": "validation"},
    "learning rate": {"lr": "learning rate"},
}


@dataclass(eq=False, repr=False)
class TrainingCurveDisplay:
    """Loss, accuracy and learning rate over the epochs of training.

    Parameters
    ----------
    history : pandas.DataFrame
        A row for each epoch of training: ``epoch``, and of ``train_loss``, ``valid_loss``,
        ``train_acc``, ``valid_acc`` and ``lr`` those that are known. That of a fitted classifier
        is ``pandas.DataFrame(classifier.history_)``.

    Attributes
    ----------
    figure_, axes_ : Figure, ndarray of Axes
        The figure, and a panel for each of loss, accuracy and learning rate that is known.
    best_ : int or None
        The epoch of training with the lowest loss in validation.

    Examples
    --------
    >>> import matplotlib, pandas as pd
    >>> matplotlib.use("Agg")
    >>> from skeegformer.plotting import TrainingCurveDisplay
    >>> history = pd.DataFrame({"epoch": [1, 2, 3], "valid_loss": [0.7, 0.5, 0.6]})
    >>> TrainingCurveDisplay(history).plot().best_
    2
    """

    history: pd.DataFrame

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
        history = self.history
        panels = {
            name: known
            for name, columns in _PANELS.items()
            if (known := {column: label for column, label in columns.items() if column in history})
        }
        if not panels or history.empty:
            raise ValueError("The history is empty: there is nothing to draw.")
        self.axes_ = open_axes(ax, len(panels), ncols=len(panels), figsize=(3.6 * len(panels), 2.9))
        self.figure_ = self.axes_[0].figure
        self.best_ = None
        if "valid_loss" in history:
            self.best_ = int(history.loc[history["valid_loss"].idxmin(), "epoch"])
        # A single epoch would be an invisible line.
        look = {"linewidth": 1.6, "marker": "o" if len(history) == 1 else None}
        for axes, (name, columns) in zip(self.axes_, panels.items(), strict=True):
            for colour, (column, label) in zip(OKABE_ITO, columns.items(), strict=False):
                axes.plot(history["epoch"], history[column], label=label, color=colour, **look)
            if self.best_ is not None and name != "learning rate":
                axes.axvline(
                    self.best_, color=GREY, linestyle=":", label=f"best, epoch {self.best_}"
                )
            if len(axes.lines) > 1:
                legend_above(axes, axes.lines)
            axes.set(xlabel="epoch of training", ylabel=name)
            axes.xaxis.get_major_locator().set_params(integer=True)
            tidy(axes)
        return self

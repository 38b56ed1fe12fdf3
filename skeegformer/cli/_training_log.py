"""What is written down while a network is trained: history.csv, and TensorBoard's files."""

import numpy as np
import pandas as pd
from skorch.callbacks import Callback

from skeegformer._utils.files import replacing

_COLUMNS = ("epoch", "train_loss", "valid_loss", "train_acc", "valid_acc", "lr", "dur")
_NO_SCALARS = ["epoch", "dur", "event_lr", "train_batch_count", "valid_batch_count"]
_MATRIX_EVERY = 10  # passes; to draw a figure takes longer than a pass over few data


class TrainingLog(Callback):
    """Record accuracy and learning rate as well, and keep ``history.csv`` up to date.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    """

    def __init__(self, path):
        self.path = path

    def on_epoch_begin(self, net, **kwargs):
        """Begin to count."""
        self.right_, self.seen_ = 0, 0

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        """Count what is right in training, as long as the batch is there."""
        if not training:
            return
        codes = batch[1].to(y_pred.device)
        self.right_ += int((y_pred.argmax(dim=1) == codes).sum())
        self.seen_ += len(codes)
        net.history.record("train_acc", self.right_ / self.seen_)
        # The optimizer has the rate of the next step by now.
        net.history.record("lr", float(net.history[-1, "batches", -1, "event_lr"]))

    def on_epoch_end(self, net, **kwargs):
        """Write the file."""
        with replacing(self.path) as path:
            history_table(net.history).to_csv(path, index=False)

    on_train_end = on_epoch_end  # early stopping ends a pass before this has its turn


def history_table(history):
    """Make a table of a history.

    Parameters
    ----------
    history : skorch.history.History
        Of a training.

    Returns
    -------
    pandas.DataFrame
        A row for each pass.
    """
    rows = [{name: row[name] for name in _COLUMNS if name in row} for row in history]
    table = pd.DataFrame(rows)
    return table[[name for name in _COLUMNS if name in table]]


class TensorBoardLog(Callback):
    """Write losses, accuracies, learning rate and confusion matrices for TensorBoard.

    skorch's callback writes what is in the history; the matrices of training and validation
    come on top, every tenth pass and at the end.

    Parameters
    ----------
    folder : pathlib.Path
        Where to.
    labels : list of str
        Names of the classes.
    """

    def __init__(self, folder, labels):
        self.folder = folder
        self.labels = labels

    def on_epoch_begin(self, net, **kwargs):
        """Open the log before the first pass; what an interrupted training logged is kept."""
        if not hasattr(self, "writer_"):
            from skorch.callbacks import TensorBoard
            from torch.utils.tensorboard import SummaryWriter

            self.writer_ = SummaryWriter(str(self.folder), purge_step=len(net.history))
            self.scalars_ = TensorBoard(self.writer_, keys_ignored=_NO_SCALARS).initialize()
            self.logged_ = len(net.history) - 1
        n_classes = len(self.labels)
        self.matrices_ = {
            part: np.zeros((n_classes, n_classes), int) for part in ("training", "validation")
        }

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        """Count true and predicted classes."""
        matrix = self.matrices_["training" if training else "validation"]
        np.add.at(matrix, (batch[1].cpu().numpy(), y_pred.argmax(dim=1).cpu().numpy()), 1)

    def on_epoch_end(self, net, **kwargs):
        """Log the pass."""
        self._log(net, is_last=False)

    def on_train_end(self, net, **kwargs):
        """Log what is left, and close the log."""
        if not hasattr(self, "writer_"):
            return
        self._log(net, is_last=True)
        self.writer_.close()
        del self.writer_, self.scalars_  # open files cannot be pickled

    def _log(self, net, *, is_last):
        n_passes = len(net.history)
        if n_passes > self.logged_:  # early stopping ends a pass before this has its turn
            self.scalars_.on_epoch_end(net)
            self.logged_ = n_passes
        if is_last or n_passes % _MATRIX_EVERY == 0:
            for part, matrix in self.matrices_.items():
                if matrix.any():
                    figure = draw_confusion(matrix, self.labels)
                    self.writer_.add_figure(f"confusion matrix/{part}", figure, n_passes)


def draw_confusion(matrix, labels, title=None):
    """Draw a confusion matrix.

    Parameters
    ----------
    matrix : ndarray of shape (n_classes, n_classes)
        Numbers of epochs by true and predicted class.
    labels : list of str
        Names of the classes.
    title : str or None, default=None
        Heading.

    Returns
    -------
    matplotlib.figure.Figure
        The figure: shares of each true class, coloured from 0 to 1.
    """
    import matplotlib.pyplot as plt
    from sklearn.metrics import ConfusionMatrixDisplay

    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = 2.2 + 0.75 * len(labels)
    figure, ax = plt.subplots(figsize=(size + 0.8, size), layout="constrained")
    display = ConfusionMatrixDisplay(shares, display_labels=labels)
    display.plot(ax=ax, cmap="Blues", values_format=".2f", im_kw={"vmin": 0, "vmax": 1})
    counts = matrix.sum(axis=1)
    ax.set_yticks(
        range(len(labels)), [f"{label}\n({n})" for label, n in zip(labels, counts, strict=True)]
    )
    ax.set_xticks(range(len(labels)), labels, rotation=30 if len(labels) > 2 else 0)
    if title:
        ax.set_title(title, fontsize="medium")
    return figure

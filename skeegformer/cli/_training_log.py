"""What is written down while a network is trained: history.csv."""

import pandas as pd
from skorch.callbacks import Callback

from skeegformer.cli._files import write_table

_COLUMNS = ("epoch", "train_loss", "valid_loss", "train_acc", "valid_acc", "lr", "dur")


class TrainingLog(Callback):
    """Record accuracy and learning rate as well, and keep ``history.csv`` up to date."""

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
        write_table(self.path, history_table(net.history))

    # What early stopping ended before this had its turn is written then.
    on_train_end = on_epoch_end


def history_table(history):
    """Make a table of the training epochs in a history of skorch."""
    rows = [{name: row[name] for name in _COLUMNS if name in row} for row in history]
    return pd.DataFrame(rows, columns=[name for name in _COLUMNS if name in rows[-1]])

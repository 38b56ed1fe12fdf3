"""What is written down while a network is trained: history.csv, and TensorBoard's files."""

import pandas as pd
from skorch.callbacks import Callback, TensorBoard

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

    on_train_end = on_epoch_end  # early stopping ends an epoch before this has its turn


class TensorBoardLog(TensorBoard):
    """skorch's log of the history, in a folder that an interrupted training may have begun."""

    def __init__(self, folder):
        self.folder = folder
        super().__init__(None, keys_ignored=["epoch", "dur"], key_mapper=_tag)

    def on_epoch_begin(self, net, **kwargs):
        """Open the log before the first epoch; what was logged of it already counts no more."""
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.logged_ = len(net.history) - 1
            self.writer = SummaryWriter(str(self.folder), purge_step=len(net.history))

    def on_epoch_end(self, net, **kwargs):
        """Log what has not been logged."""
        if len(net.history) > self.logged_:
            super().on_epoch_end(net, **kwargs)
            self.writer.flush()  # a killed training must not take it along
            self.logged_ = len(net.history)

    def on_train_end(self, net, **kwargs):
        """Log what early stopping ended, and close the log."""
        if self.writer is not None:
            self.on_epoch_end(net)
            self.writer.close()
            self.writer = None  # open files cannot be pickled


def _tag(key):
    """Say where TensorBoard shows a column."""
    kind = {"loss": "Loss", "acc": "Accuracy"}.get(key.split("_")[-1])
    return f"{kind}/{key}" if kind else key


def history_table(history):
    """Make a table of the training epochs in a history of skorch."""
    rows = [{name: row[name] for name in _COLUMNS if name in row} for row in history]
    return pd.DataFrame(rows, columns=[name for name in _COLUMNS if name in rows[-1]])

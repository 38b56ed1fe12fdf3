"""What is written down while a network is trained: history.csv, and TensorBoard's files."""

import shutil

import pandas as pd
from skorch.callbacks import Callback

from skeegformer.cli._files import write_table

_COLUMNS = ("epoch", "train_loss", "valid_loss", "train_acc", "valid_acc", "lr", "dur")


class TrainingLog(Callback):
    """Record accuracy and learning rate as well, and keep ``history.csv`` up to date."""

    # With a folder `tensorboard` the same is logged there, anew when a training is resumed.

    def __init__(self, path, tensorboard=None):
        self.path = path
        self.tensorboard = tensorboard
        self.writer = None  # which is made when the training begins: it cannot be copied

    def on_epoch_begin(self, net, **kwargs):
        """Begin to count."""
        self.right_, self.seen_ = 0, 0
        if self.tensorboard is not None and self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            shutil.rmtree(self.tensorboard)
            self.writer, self.n_logged = SummaryWriter(str(self.tensorboard)), 0

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
        """Write the file, and log what has not been logged."""
        table = history_table(net.history)
        write_table(self.path, table)
        if self.writer is None:
            return
        logged = table.iloc[self.n_logged :].drop(columns="dur", errors="ignore")
        for row in logged.to_dict("records"):
            epoch = row.pop("epoch")
            for name, value in row.items():
                kind = {"loss": "Loss/", "acc": "Accuracy/"}.get(name.split("_")[-1], "")
                self.writer.add_scalar(kind + name, value, epoch)
        self.n_logged = len(table)
        self.writer.flush()  # a killed training must not take it along

    def on_train_end(self, net, **kwargs):
        """Write what early stopping ended before this had its turn, and close the log."""
        self.on_epoch_end(net)
        if self.writer is not None:
            self.writer.close()
            self.writer = None  # open files cannot be pickled


def history_table(history):
    """Make a table of the training epochs in a history of skorch."""
    rows = [{name: row[name] for name in _COLUMNS if name in row} for row in history]
    return pd.DataFrame(rows, columns=[name for name in _COLUMNS if name in rows[-1]])

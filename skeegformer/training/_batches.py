"""Epochs on the way to the network: which are held out, whose they are, and their batches."""

import warnings

import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit
from torch.utils.data import DataLoader, Dataset, Sampler

from skeegformer._validation import read_rows, rows_by_subject

# Of each subject in a training batch whose log powers are centred on their subject's mean.
EPOCHS_OF_A_SUBJECT = 8
# With fewer epochs the mean of a subject is that of its classes' whims.
FEW_EPOCHS = 10


def split_epochs(codes, classes, groups, fraction, random_state):
    """Choose epochs to train on and epochs that are held out: whole groups where there are some."""
    # `fraction` is the share of groups, or else of epochs, that is held out. Returns indices.
    options = {"test_size": fraction, "random_state": random_state}
    if groups is not None:
        if len(np.unique(groups)) < 2:
            raise ValueError(
                "early_stopping holds out whole groups, but groups holds only "
                f"{groups.tolist()[0]!r}; pass more groups, none at all, or early_stopping=False."
            )
        splitter = GroupShuffleSplit(1, **options)
    elif np.bincount(codes)[codes].min() >= 2:
        splitter = StratifiedShuffleSplit(1, **options)
    else:
        splitter = ShuffleSplit(1, **options)
    try:
        train, held_out = next(splitter.split(codes, codes, groups))
    except ValueError as error:
        raise ValueError(
            f"early_stopping cannot hold out validation_fraction={fraction} of {len(codes)} epochs "
            f"with {len(classes)} classes; change the fraction, give more epochs, or set "
            "early_stopping=False."
        ) from error
    missing = np.setdiff1d(codes, codes[train])
    if len(missing):
        raise ValueError(
            f"early_stopping held out every epoch of class {classes[missing].tolist()[0]!r}; lower "
            "validation_fraction, or set early_stopping=False."
        )
    return train, held_out


def refuse_single_epochs(rows_of, learn, codes=()):
    """Raise where an epoch would be centred on itself; warn where on hardly more, or on a class."""
    is_pure = [len(np.unique(codes[rows])) == 1 for rows in rows_of.values() if len(codes)]
    if len(np.unique(codes)) > 1 and all(is_pure):
        warnings.warn(
            "adapt=True takes away what differs between subjects, who have one class each.",
            stacklevel=5,
        )
    for subject, rows in rows_of.items():
        if learn:
            if len(rows) == 1:
                raise ValueError(
                    f"Subject {subject!r} has a single epoch, which adapt=True would centre on "
                    "itself: leave it out, or check that groups are subjects and not epochs."
                )
            continue
        of_whom = "an unknown subject" if subject is None else f"the unknown subject {subject!r}"
        way_out = (
            "adapt=True centres features on each subject's mean. Pass more epochs at once, or "
            "teach it the mean by fine_tune"
        )
        if len(rows) == 1:
            raise ValueError(
                f"There is a single epoch of {of_whom}, and one epoch minus its own mean is "
                f"always zero: {way_out}."
            )
        if len(rows) < FEW_EPOCHS:
            warnings.warn(
                f"There are only {len(rows)} epochs of {of_whom}: {way_out}.",
                stacklevel=2,
            )


class EpochDataset(Dataset):
    """Epochs, targets and subjects as torch's loaders want them, read batch by batch.

    `targets` are zeros where there are none; `subjects` are given where the network wants to know,
    and `weights` where epochs count differently in the loss.
    """

    def __init__(self, data, targets=None, subjects=None, weights=None):
        self.data, self.subjects, self.weights = data, subjects, weights
        self.targets = np.zeros(len(data), dtype=np.int64) if targets is None else targets

    def __len__(self):
        return len(self.data)

    def __getitems__(self, indices):
        """Read a batch: epochs, targets, and subjects and weights or None."""
        indices = np.asarray(indices)
        more = (None if one is None else one[indices] for one in (self.subjects, self.weights))
        return read_rows(self.data, indices), self.targets[indices], *more


def collate(batch):
    """Turn a batch of `EpochDataset` into what the network takes, and targets."""
    data, targets, subjects, weights = batch
    x, more = torch.from_numpy(np.ascontiguousarray(data)), {}
    if subjects is not None:
        # Numbers of subjects who are not in the batch would only cost time.
        more["subject"] = torch.from_numpy(np.unique(subjects, return_inverse=True)[1])
    if weights is not None:
        more["weight"] = torch.from_numpy(weights)
    return {"x": x, **more} if more else x, torch.from_numpy(targets)


class MirrorSome:
    """Turn batches into what the network takes, some of their epochs as mirror images.

    Of a subject whose log powers are centred, either all epochs of the batch are mirrored or none.
    """

    def __init__(self, pairs, swapped):
        self.pairs, self.swapped = pairs, swapped

    def __call__(self, batch):
        data, targets, subjects, weights = batch
        if subjects is None:
            flips = torch.rand(len(data)).numpy() < 0.5
        else:
            present, whose = np.unique(subjects, return_inverse=True)
            ranks, coin = torch.randperm(len(present)).numpy(), int(torch.randint(2, ()))
            flips = (ranks < (len(present) + coin) // 2)[whose]
        data = np.where(flips[:, None, None], data[:, self.pairs], data)
        targets = np.where(flips, self.swapped[targets], targets)
        return collate((data, targets, subjects, weights))


class SubjectBatches(Sampler):
    """Batches of a few epochs of each of a few subjects; each epoch once in a training epoch."""

    def __init__(self, subjects, batch_size):
        self.rows = list(rows_by_subject(subjects, len(subjects)).values())
        self.sizes = [max(1, round(len(rows) / EPOCHS_OF_A_SUBJECT)) for rows in self.rows]
        self.n_together = max(1, batch_size // EPOCHS_OF_A_SUBJECT)

    def __len__(self):
        return -(-sum(self.sizes) // self.n_together)

    def __iter__(self):
        few = []
        for rows, n_parts in zip(self.rows, self.sizes, strict=True):
            few.extend(np.array_split(rows[torch.randperm(len(rows)).numpy()], n_parts))
        order = torch.randperm(len(few)).tolist()
        for start in range(0, len(order), self.n_together):
            yield np.concatenate([few[i] for i in order[start : start + self.n_together]])


def training_loader(dataset, batch_size, collate_fn):
    """Load shuffled batches, of a few subjects each where the dataset tells them."""
    if dataset.subjects is not None:
        batches = SubjectBatches(dataset.subjects, batch_size)
        return DataLoader(dataset, batch_sampler=batches, collate_fn=collate_fn)
    return DataLoader(dataset, batch_size, shuffle=True, collate_fn=collate_fn)


def validation_loader(dataset, batch_size):
    """Load batches in order, each of a whole subject where the dataset tells them."""
    if dataset.subjects is not None:
        batches = list(rows_by_subject(dataset.subjects, len(dataset)).values())
        return DataLoader(dataset, batch_sampler=batches, collate_fn=collate)
    return DataLoader(dataset, batch_size, collate_fn=collate)

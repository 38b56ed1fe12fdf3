"""How much each kind of token tells of the classes, before anything is trained."""

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from skeegformer._validation import read_rows

# More epochs cost time and change little: what is asked for are ratios.
_MOST_EPOCHS, _BATCH = 512, 64
_PENALTIES = np.logspace(-3, 3, 7)
# By chance, ridge regression seems to explain about so much, divided by the number of epochs.
_CHANCE = 2.0


@torch.no_grad()
def token_gains(network, data, codes):
    """Compute what log powers and means are multiplied by: 1 for the kind that tells more."""
    # A ridge regression of the classes on the tokens of channels, one kind at a time, predicts
    # epochs that are left out; gains go as the variance that it explains. So what a task does not
    # need, such as the mean of a rhythm, has little to say from the start.
    rows, tokens = draw_rows(len(codes)), []
    for signal in signals(network, data, rows):
        kinds = network.in_windows(signal, signal.square(), torch.ones_like(network.scale[:, 0]))
        # Neighbouring windows share most of their samples.
        tokens.append(kinds[..., ::2].flatten(2).cpu())
    # What is too large for its square is left to the training, which says so.
    kinds = torch.cat(tokens).nan_to_num().transpose(0, 1).numpy()
    shares = np.array([_explained(kind, codes[rows]) for kind in kinds]) + _CHANCE / len(rows)
    return torch.from_numpy(shares / shares.max()).float()


def draw_rows(n_epochs):
    """Draw some of all epochs, and keep their order."""
    return torch.randperm(n_epochs)[:_MOST_EPOCHS].sort().values.numpy()


def signals(network, data, rows):
    """Go through some epochs, as the network prepares them, batch by batch."""
    for some in np.split(rows, range(_BATCH, len(rows), _BATCH)):
        yield network.prepare(torch.as_tensor(read_rows(data, some)).to(network.scale.device))


def _explained(features, codes):
    """Compute the share of the variance of classes that is explained of epochs left out."""
    targets = np.eye(codes.max() + 1)[codes]
    variance = targets.var(axis=0).mean()
    if not variance:  # of many epochs, those that were drawn may be of one class
        return 0.0
    features = StandardScaler().fit_transform(features.astype(np.float64))
    ridge = RidgeCV(_PENALTIES * features.shape[1]).fit(features, targets)
    return max(0.0, 1.0 + ridge.best_score_ / variance)

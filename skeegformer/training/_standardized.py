"""Any network on epochs whose channels are standardised."""

import torch
from torch import nn

from skeegformer._validation import MappedEpochs


class StandardizedNetwork(nn.Module):
    """A network on epochs whose channels are standardised over all training epochs.

    Parameters
    ----------
    network : type
        Class of the network, a `torch.nn.Module`.
    params : dict
        What it is made with.
    n_chans, n_outputs, n_times : int
        Number of channels, of classes, and of samples in an epoch.
    channels_last : bool, default=False
        Whether filters are the last axis in the memory of weights.
    """

    def __init__(self, network, params, n_chans, n_outputs, n_times, channels_last=False):
        super().__init__()
        self._made_with = (network, params, n_chans, n_outputs, n_times, channels_last)
        try:
            self.network = network(**params)
            with torch.no_grad():  # some find out only here that nothing is left of an epoch
                logits = self.network.eval()(torch.zeros(1, n_chans, n_times))
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            raise ValueError(
                f"{network.__name__} cannot be made for epochs of {n_times} samples and {n_chans} "
                f"channels, most often because they are too short: {error}"
            ) from error
        if logits.shape != (1, n_outputs):
            raise ValueError(
                f"{network.__name__} gives {tuple(logits.shape)} for an epoch, but has to give a "
                f"logit for each of {n_outputs} classes, (n_epochs, {n_outputs})."
            )
        self.network.train()
        if channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.register_buffer("mean", torch.zeros(n_chans, 1))
        self.register_buffer("scale", torch.ones(n_chans, 1))

    def __reduce__(self):
        # Networks that bound the norm of their weights are such as torch cannot pickle.
        return _restore, (self._made_with, self.state_dict(), self.training)

    @torch.no_grad()
    def learn_statistics(self, x):
        """Learn the mean and the standard deviation of each channel from training epochs."""
        x = torch.from_numpy(x.load()) if isinstance(x, MappedEpochs) else x
        for index, channel in enumerate(x.unbind(1)):  # one by one, to save memory
            std, mean = torch.std_mean(channel.double(), correction=0)
            # A channel that never moved says nothing, also if it moves one day.
            alive = std > 1e-6 * mean.abs()
            self.mean[index] = mean
            self.scale[index] = 1 / std if alive else 0.0

    def forward(self, x):
        """Compute logits of shape (batch, n_outputs) of epochs."""
        return self.network((x - self.mean) * self.scale)


def _restore(made_with, state, is_training):
    """Make a network again that was pickled."""
    with torch.random.fork_rng(devices=[]):
        network = StandardizedNetwork(*made_with)
    network.load_state_dict(state)
    return network.to(state["mean"].device).train(is_training)

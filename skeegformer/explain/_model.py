"""What all methods ask of a network: batches of epochs, and their logits."""

import numpy as np
import torch

BATCH_SIZE = 64


def predict_logits(network, data):
    """Compute the logits of epochs, in evaluation mode.

    Parameters
    ----------
    network : EEGTransformer
        The network; left as it was.
    data : ndarray of shape (n_epochs, n_chans, n_times)
        Epochs.

    Returns
    -------
    Tensor of shape (n_epochs, n_outputs)
        Logits, on the CPU.
    """
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            return torch.cat([network(x).cpu() for x in batches(network, data)])
    finally:
        network.train(training)


def batches(network, *arrays, batch_size=BATCH_SIZE):
    """Cut arrays into batches on the network's device.

    Parameters
    ----------
    network : EEGTransformer
        The network.
    *arrays : ndarray of shape (n_epochs, ...)
        What to cut.
    batch_size : int
        How many epochs a batch holds.

    Yields
    ------
    Tensor or tuple of Tensor
        Of one array, its batch; of several, a batch of each.
    """
    device = next(network.parameters()).device
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    for batch in zip(*(tensor.split(batch_size) for tensor in tensors), strict=True):
        batch = tuple(part.to(device) for part in batch)
        yield batch if len(batch) > 1 else batch[0]

"""What all methods ask of a network: batches of epochs, logits, and the log odds of a class."""

import numpy as np
import torch

BATCH_SIZE = 64


def predict(classifier, data, subjects):
    """Compute logits, and what the log powers of each epoch are centred on, or None."""
    if not getattr(classifier, "adapt", False):
        return torch.from_numpy(classifier._logits_of(data, subjects)), None
    network, raw = classifier.net_.module_, classifier._raw_tokens(data)
    centred = classifier._centred(raw.clone(), subjects)
    with torch.no_grad():
        logits = network.read_out(centred.to(network.scale.device)).cpu()
    return logits, (raw - centred)[:, :, 0].numpy()


@torch.no_grad()
def predict_logits(network, data, means=None):
    """Compute the logits of epochs, in evaluation mode, centred on known means if there are any."""
    network.eval()
    if means is None:
        return torch.cat([network(x).cpu() for x in batches(network, data)])
    both = batches(network, data, means)
    return torch.cat([network(x, means=known).cpu() for x, known in both])


def batches(network, *arrays, batch_size=BATCH_SIZE):
    """Cut arrays into batches on the network's device, tuples of several; None stays None."""
    device = next(network.parameters()).device
    for start in range(0, len(arrays[0]), batch_size):
        rows = slice(start, start + batch_size)
        batch = tuple(
            None if array is None else torch.as_tensor(np.ascontiguousarray(array[rows])).to(device)
            for array in arrays
        )
        yield batch if len(batch) > 1 else batch[0]


def tokens_of(network, sources, means):
    """Describe sources in windows of time, centred where means are known."""
    tokens = network.tokens(sources)
    return tokens if means is None else network.centre(tokens, means)


def log_odds(logits, codes):
    """Compute ``log(p / (1 - p))`` of a class, epoch by epoch, from (batch, n_outputs)."""
    own = torch.nn.functional.one_hot(codes, logits.shape[1]).bool()
    others = logits.masked_fill(own, -torch.inf).logsumexp(dim=1)
    return logits.gather(1, codes[:, None])[:, 0] - others

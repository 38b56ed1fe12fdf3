"""Training that goes on with a few epochs of somebody new, and stays close to where it began."""

import time

import numpy as np
import torch

N_STEPS = 50
LR_FACTOR = 0.3  # of the learning rate of `fit`
# Of half the squared distance to the weights before: keeps what few epochs say nothing about.
PULL = 1.0


def tune(forward, parameters, criterion, inputs, targets, *, n_steps, lr, batch_size):
    """Train parameters from the values that they have, with a pull towards them (L2-SP [1]_).

    Only the classes among the targets compete in the loss: of the others these epochs say
    nothing, and to push their logits down would unlearn them.

    Parameters
    ----------
    forward : callable
        Gives logits of shape (batch, n_outputs) or (batch, n_outputs, n_groups).
    parameters : list of torch.nn.Parameter
        What is trained.
    criterion : callable
        Takes logits and targets, gives the loss.
    inputs : Tensor of shape (n_epochs, ...)
        What `forward` takes.
    targets : ndarray of int64 of shape (n_epochs,)
        Classes.
    n_steps : int
        Number of training steps.
    lr : float
        Learning rate of Adam at first; it comes down to 0 on a cosine.
    batch_size : int
        Most epochs in a step.

    Returns
    -------
    list of dict
        ``train_loss``, the pull left out, and ``dur``, the seconds, of each pass over the epochs.

    References
    ----------
    .. [1] Li, Grandvalet and Davoine (2018), Explicit inductive bias for transfer learning with
       convolutional networks. ICML. arXiv:1802.01483
    """
    device = parameters[0].device
    inputs, targets = inputs.to(device), torch.from_numpy(targets).to(device)
    before = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.Adam(parameters, lr=lr, fused=device.type in ("cpu", "cuda"))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    absent = None
    passes, step = [], 0
    while step < n_steps:
        start, losses, sizes = time.perf_counter(), [], []
        for rows in torch.randperm(len(inputs)).to(device).split(batch_size)[: n_steps - step]:
            logits = forward(inputs[rows])
            if absent is None:
                absent = torch.ones(logits.shape[1], dtype=torch.bool, device=device)
                absent[targets] = False
            mask = absent.reshape(-1, *[1] * (logits.ndim - 2))
            loss = criterion(logits.masked_fill(mask, -torch.inf), targets[rows])
            moved = sum(
                (now - then).square().sum() for now, then in zip(parameters, before, strict=True)
            )
            optimizer.zero_grad()
            (loss + 0.5 * PULL * moved).backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            sizes.append(len(rows))
        step += len(sizes)
        loss = float(np.average(losses, weights=sizes))
        passes.append({"train_loss": loss, "dur": time.perf_counter() - start})
    return passes

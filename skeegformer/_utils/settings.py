"""What others have set in torch, set aside for a while."""

from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def usual_torch():
    """Compute where arrays are, and in their precision, inside a with block or a function."""
    with ExitStack() as stack:
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def seeded_torch(seed=None):
    """Compute with gradients, in single precision and with random numbers of one's own."""
    # Random numbers start from the seed, if any; all is as it was before when the block ends.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    dtype = torch.get_default_dtype()
    forked = torch.random.fork_rng(devices=devices)
    with usual_torch(), torch.inference_mode(False), torch.enable_grad(), forked:
        torch.set_default_dtype(torch.float32)
        try:
            if seed is not None:
                torch.manual_seed(seed)
            yield
        finally:
            torch.set_default_dtype(dtype)

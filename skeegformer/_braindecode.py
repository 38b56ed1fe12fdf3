"""Networks of braindecode as classifiers, trained by the very code that trains the transformer."""

import torch
from torch import nn

from skeegformer._memmap import MappedEpochs
from skeegformer._training import NetworkClassifier
from skeegformer._validation import check_one_of


class BraindecodeClassifier(NetworkClassifier):
    """A published network, as braindecode has it, behind the trainer of `EEGTransformerClassifier`.

    Each channel is standardised by its mean and standard deviation over the training epochs.
    Numbers of filters, layers and so on are braindecode's defaults, which are the authors';
    filters and pools keep the authors' lengths in seconds. Without a sampling rate they have the
    authors' lengths in samples. In short epochs ATCNet has fewer of its five windows.

    Parameters
    ----------
    network : str, default="shallowfbcspnet"
        One of `NETWORKS`; `make_baseline` cites their papers.
    lr, weight_decay : float, default=1e-3 and 0.05
        Of AdamW, for all weights.
    max_epochs, batch_size, class_weight
        As of `EEGTransformerClassifier`.
    early_stopping, validation_fraction, n_iter_no_change, callbacks
        As of `EEGTransformerClassifier`.
    sfreq, device, random_state, verbose
        As of `EEGTransformerClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.module_.network`` is braindecode's.
    """

    def __init__(
        self,
        network="shallowfbcspnet",
        *,
        max_epochs="auto",
        batch_size=32,
        lr=1e-3,
        weight_decay=0.05,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.15,
        n_iter_no_change=10,
        callbacks=None,
        sfreq=None,
        device="cpu",
        random_state=None,
        verbose=0,
    ):
        self.network = network
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.sfreq = sfreq
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self):
        super()._check_parameters()
        check_one_of("network", self.network, tuple(NETWORKS))

    def _make_network(self, data):
        return StandardizedNetwork, {
            "name": self.network,
            "n_chans": self.n_chans_,
            "n_outputs": len(self.classes_),
            "n_times": self.n_times_,
            "sfreq": self.sfreq_,
        }


class StandardizedNetwork(nn.Module):
    """A network of braindecode on epochs whose channels are standardised.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    n_chans, n_outputs, n_times : int
        Number of channels, of classes, and of samples in an epoch.
    sfreq : float or None
        Sampling rate in Hz; None for that of the authors.
    """

    def __init__(self, name, n_chans, n_outputs, n_times, sfreq=None):
        super().__init__()
        self._made_with = (name, n_chans, n_outputs, n_times, sfreq)
        models = _braindecode_models(name)
        class_name, authors_rate, lengths = NETWORKS[name]
        sfreq = authors_rate if sfreq is None else sfreq
        try:
            self.network = getattr(models, class_name)(
                n_chans=n_chans,
                n_outputs=n_outputs,
                n_times=n_times,
                sfreq=sfreq,
                **lengths(sfreq / authors_rate, n_times),
            )
            with torch.no_grad():  # some find out only here that nothing is left of an epoch
                self.network.eval()(torch.zeros(1, n_chans, n_times))
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            raise ValueError(
                f"{class_name} cannot be made for epochs of {n_times} samples at {sfreq:g} Hz and "
                f"{n_chans} channels, most often because they are too short: {error}"
            ) from error
        self.network.train()
        if name in FASTER_CHANNELS_LAST:
            self.network.to(memory_format=torch.channels_last)
        self.register_buffer("mean", torch.zeros(n_chans, 1))
        self.register_buffer("scale", torch.ones(n_chans, 1))

    def __reduce__(self):
        # Networks that bound the norm of their weights are such as torch cannot pickle.
        return _restore, (self._made_with, self.state_dict(), self.training)

    @torch.no_grad()
    def learn_statistics(self, x):
        """Learn the mean and the standard deviation of each channel.

        Parameters
        ----------
        x : Tensor or MappedEpochs of shape (n_epochs, n_chans, n_times)
            Training epochs; lazy ones are loaded.
        """
        x = torch.from_numpy(x.load()) if isinstance(x, MappedEpochs) else x
        for index, channel in enumerate(x.unbind(1)):  # one by one, to save memory
            std, mean = torch.std_mean(channel.double(), correction=0)
            # A channel that never moved says nothing, also if it moves one day.
            alive = std > 1e-6 * mean.abs()
            self.mean[index] = mean
            self.scale[index] = 1 / std if alive else 0.0

    def forward(self, x):
        """Classify epochs.

        Parameters
        ----------
        x : Tensor of shape (batch, n_chans, n_times)
            Epochs.

        Returns
        -------
        Tensor of shape (batch, n_outputs)
            Logits.
        """
        return self.network((x - self.mean) * self.scale)


def _restore(made_with, state, is_training):
    """Make a network again that was pickled."""
    with torch.random.fork_rng(devices=[]):
        network = StandardizedNetwork(*made_with)
    network.load_state_dict(state)
    return network.to(state["mean"].device).train(is_training)


def _braindecode_models(name):
    """Import braindecode, or say what installs it."""
    try:
        from braindecode import models
    except Exception as error:  # a torchaudio that does not fit torch raises all sorts
        raise ImportError(
            f"{name!r} is a network of braindecode, which cannot be imported here "
            f"({type(error).__name__}: {error}); pip install 'skeegformer[braindecode]' installs "
            "it, with the versions of torch and torchaudio that it needs."
        ) from error
    return models


def _at_least_one(length):
    return max(1, round(length))


def _shallow_lengths(rate, n_times):
    return {
        "filter_time_length": _at_least_one(25 * rate),
        "pool_time_length": _at_least_one(75 * rate),
        "pool_time_stride": _at_least_one(15 * rate),
    }


def _deep4_lengths(rate, n_times):
    # One length for all four pools: together they are to span the authors' 3 ** 4 samples.
    pool = _at_least_one(3 * rate**0.25)
    # Filter by filter, a sample has become longer by 3 there, and by `pool` here.
    rates = [rate * (3 / pool) ** n_pools for n_pools in range(4)]
    first, second, third, fourth = (_at_least_one(10 * rate) for rate in rates)
    return {
        "filter_time_length": first,
        "filter_length_2": second,
        "filter_length_3": third,
        "filter_length_4": fourth,
        "pool_time_length": pool,
        "pool_time_stride": pool,
    }


def _eegnet_lengths(rate, n_times):
    pool = _at_least_one(4 * rate)
    pooled_rate = rate * 4 / pool
    return {
        "kernel_length": _at_least_one(64 * rate),
        "pool1_kernel_size": pool,
        "depthwise_kernel_length": _at_least_one(16 * pooled_rate),
        "pool2_kernel_size": _at_least_one(8 * pooled_rate),
    }


def _atcnet_lengths(rate, n_times):
    pool = _at_least_one(8 * rate)
    pooled_rate = rate * 8 / pool
    second_pool = _at_least_one(7 * pooled_rate)
    # The temporal convolutions look back over 7 samples; with more windows than those leave room
    # for, braindecode would shorten everything.
    n_windows = n_times // pool // second_pool - 6
    return {
        "conv_block_kernel_length_1": _at_least_one(64 * rate),
        "conv_block_pool_size_1": pool,
        "conv_block_kernel_length_2": _at_least_one(16 * pooled_rate),
        "conv_block_pool_size_2": second_pool,
        "n_windows": min(max(1, n_windows), 5),
    }


def _ctnet_lengths(rate, n_times):
    pool = _at_least_one(8 * rate)
    return {
        "kernel_size": _at_least_one(64 * rate),
        "pool_size_1": pool,
        "pool_size_2": _at_least_one(8 * rate * 8 / pool),
    }


# The class in braindecode, the sampling rate in Hz that the authors' lengths are meant for, and
# the lengths in samples at another rate, given as a share of theirs, for epochs of some length.
NETWORKS = {
    "shallowfbcspnet": ("ShallowFBCSPNet", 250.0, _shallow_lengths),
    "deep4net": ("Deep4Net", 250.0, _deep4_lengths),
    "eegnet": ("EEGNet", 128.0, _eegnet_lengths),
    "eegconformer": ("EEGConformer", 250.0, _shallow_lengths),
    "atcnet": ("ATCNet", 250.0, _atcnet_lengths),
    "ctnet": ("CTNet", 250.0, _ctnet_lengths),
}
# Whose convolutions take less time if, in memory, filters are the last axis: for 64 channels on one
# core a training step of these takes 0.5 to 0.8 times as long, and of the others longer.
FASTER_CHANNELS_LAST = ("deep4net", "eegnet", "eegconformer")

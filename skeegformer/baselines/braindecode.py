"""Networks of braindecode as classifiers, trained by the very code that trains the transformer."""

from dataclasses import field

from skeegformer._validation import check_one_of
from skeegformer.training import NetworkClassifier, network_estimator
from skeegformer.training._net import StandardizedNetwork


@network_estimator
class BraindecodeClassifier(NetworkClassifier):
    """A published network from braindecode, trained like `NetworkClassifier`.

    Each channel is standardised by its mean and standard deviation over the training epochs.
    Numbers of filters, layers and so on are braindecode's defaults, which are the authors' values.
    Filters and pooling have the authors' lengths in seconds or, without a sampling rate, in
    samples. For short epochs, ATCNet has fewer than its five windows.

    Parameters
    ----------
    network : str, default="shallowfbcspnet"
        One of `NETWORKS`; `make_baseline` cites their papers.

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.module_.network`` is braindecode's.
    """

    network: str = field(default="shallowfbcspnet", kw_only=False)
    module: None = field(default=None, init=False)
    module_params: None = field(default=None, init=False)

    def _check_parameters(self):
        super()._check_parameters()
        check_one_of("network", self.network, tuple(NETWORKS))

    def _make_network(self):
        class_name, authors_rate, lengths = NETWORKS[self.network]
        sfreq = authors_rate if self.sfreq_ is None else self.sfreq_
        shape = self._shape()
        params = {**shape, "sfreq": sfreq, **lengths(sfreq / authors_rate, self.n_times_)}
        return StandardizedNetwork, {
            "network": getattr(_braindecode_models(self.network), class_name),
            "params": params,
            **shape,
            "channels_last": self.network in FASTER_CHANNELS_LAST,
        }


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


def _scaled(rate, **lengths):
    """Turn lengths in the authors' samples into ours."""
    return {name: max(1, round(length * rate)) for name, length in lengths.items()}


def _shallow_lengths(rate, n_times):
    return _scaled(rate, filter_time_length=25, pool_time_length=75, pool_time_stride=15)


def _deep4_lengths(rate, n_times):
    # One length for all four pools: together they are to span the authors' 3 ** 4 samples.
    lengths = _scaled(rate**0.25, pool_time_length=3, pool_time_stride=3)
    # Filter by filter, a sample has become longer by 3 there, and by our pool here.
    names = ("filter_time_length", "filter_length_2", "filter_length_3", "filter_length_4")
    for n_pools, name in enumerate(names):
        lengths |= _scaled(rate * (3 / lengths["pool_time_length"]) ** n_pools, **{name: 10})
    return lengths


def _eegnet_lengths(rate, n_times):
    lengths = _scaled(rate, kernel_length=64, pool1_kernel_size=4)
    pooled_rate = rate * 4 / lengths["pool1_kernel_size"]
    return lengths | _scaled(pooled_rate, depthwise_kernel_length=16, pool2_kernel_size=8)


def _atcnet_lengths(rate, n_times):
    lengths = _scaled(rate, conv_block_kernel_length_1=64, conv_block_pool_size_1=8)
    pool = lengths["conv_block_pool_size_1"]
    second = {"conv_block_kernel_length_2": 16, "conv_block_pool_size_2": 7}
    lengths |= _scaled(rate * 8 / pool, **second)
    # The temporal convolutions look back over 7 samples; with more windows than those leave room
    # for, braindecode would shorten everything.
    n_windows = n_times // pool // lengths["conv_block_pool_size_2"] - 6
    return lengths | {"n_windows": min(max(1, n_windows), 5)}


def _ctnet_lengths(rate, n_times):
    lengths = _scaled(rate, kernel_size=64, pool_size_1=8)
    return lengths | _scaled(rate * 8 / lengths["pool_size_1"], pool_size_2=8)


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

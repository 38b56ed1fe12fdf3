"""Networks of braindecode as classifiers, trained by the very code that trains the transformer."""

from dataclasses import field

from skeegformer._validation import check_one_of
from skeegformer.training import NetworkClassifier, network_estimator
from skeegformer.training._standardized import StandardizedNetwork


@network_estimator
class BraindecodeClassifier(NetworkClassifier):
    """A published network, as braindecode has it, behind the trainer of `NetworkClassifier`.

    Each channel is standardised by its mean and standard deviation over the training epochs.
    Numbers of filters, layers and so on are braindecode's defaults, which are the authors';
    filters and pools keep the authors' lengths in seconds. Without a sampling rate they have the
    authors' lengths in samples. In short epochs ATCNet has fewer of its five windows.

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
        shape = {
            "n_chans": self.n_chans_,
            "n_outputs": len(self.classes_),
            "n_times": self.n_times_,
        }
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

"""Spatial filters and patterns of the sources that a network decides by."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.signal import welch

from skeegformer._utils.settings import usual_torch
from skeegformer._validation import check_count
from skeegformer.attention import record_attention
from skeegformer.explain._model import batches
from skeegformer.nn import EEGTransformer

_N_FREQUENCIES = 129


@dataclass(frozen=True, eq=False, repr=False)
class SourcePatterns:
    r"""Filters and patterns of sources, in descending order of their share.

    The kernel of a head, of shape channels x lags, is approximated by one spatial and one temporal
    filter. A *filter* contains the channel weights that extract the source; a large weight may only
    serve to remove noise. A *pattern* shows how the source projects to the channels: the covariance
    of channels, after the same temporal filter, with the source [1]_. Their common sign is
    arbitrary and chosen such that the largest value of the pattern is positive.

    Parameters
    ----------
    shares : ndarray of shape (n_sources,)
        Share of the source and its mirror image in the class token's attention, mean of epochs.
    filters : ndarray of shape (n_sources, n_chans)
        Channel weights, per unit of the signal; the source has variance 1 in training.
    patterns : ndarray of shape (n_sources, n_chans)
        Patterns in units of the signal, for a source of one standard deviation.
    frequencies : ndarray of shape (n_freqs,)
        Frequencies in Hz.
    responses : ndarray of shape (n_sources, n_freqs)
        Amplitude response of the temporal filter; its maximum is 1. The filter is only a quarter
        of a second long, so its peaks are some Hz wide.
    spectra : ndarray of shape (n_sources, n_freqs)
        Amplitude spectrum of the source in these epochs; its maximum is 1.
    times : ndarray of shape (n_windows,)
        Centre of each window in seconds, as in ``epochs.times``; for arrays, from their start.
    weights : ndarray of shape (n_sources, 2, n_windows)
        Change in the log odds of the class per unit of log power, and of the mean, in each window;
        includes the gains of the network.
    classes : ndarray of shape (n_sources,)
        The class for which more power, or a larger mean, is evidence.
    tokens : ndarray of str of shape (n_sources,)
        The kind of token, "log power" or "mean", that changes the logits more.
    fits : ndarray of shape (n_sources,)
        Share of the kernel's energy that the two filters explain, between 0 and 1.

    References
    ----------
    .. [1] Haufe et al. (2014), On the interpretation of weight vectors of linear models in
       multivariate neuroimaging. NeuroImage 87. doi:10.1016/j.neuroimage.2013.10.067
    """

    shares: np.ndarray
    filters: np.ndarray
    patterns: np.ndarray
    frequencies: np.ndarray
    responses: np.ndarray
    spectra: np.ndarray
    times: np.ndarray
    weights: np.ndarray
    classes: np.ndarray
    tokens: np.ndarray
    fits: np.ndarray

    def __repr__(self):
        peaks = self.frequencies[self.spectra.argmax(axis=1)]
        sources = zip(self.shares, peaks, self.tokens, self.classes, strict=True)
        lines = [
            f"  {share:.1%}, spectrum highest at {peak:.0f} Hz: "
            f"more {token} is evidence for {label}"
            for share, peak, token, label in sources
        ]
        return "\n".join([f"{len(lines)} sources, with their shares of the attention:", *lines])


@usual_torch()
@torch.no_grad()
def patterns(self, n_sources=5):
    """Compute filters and patterns of the sources with the largest shares in these epochs.

    Parameters
    ----------
    n_sources : int, default=5
        Number of sources.

    Returns
    -------
    SourcePatterns
        The sources, in descending order of their share.

    Raises
    ------
    ValueError
        If the explanation has no model.
    TypeError
        If the model has no sources.
    """
    if self.source is None:
        raise ValueError(
            "Patterns are computed from the model and its epochs, and this explanation does "
            "not know them (it was loaded, or joined from several): explain anew."
        )
    classifier, data, subjects = self.source.classifier, self.source.data, self.subjects
    network = classifier.net_.module_.eval()
    if not isinstance(network, EEGTransformer):
        raise TypeError(
            f"A {type(network).__name__} has no sources; patterns are those of an EEGTransformer."
        )
    check_count("n_sources", n_sources, 1)
    if len(self) < 2:
        raise ValueError("Patterns are of what varies between epochs, but there is only one.")
    with record_attention(network) as attention:
        classifier._logits_of(data, subjects)
    values = attention.values()
    if subjects is not None:
        values = values.within_subjects(subjects)
    shares = values.source_shares.sum(dim=1).mean(dim=0)
    order = shares.argsort(descending=True)[:n_sources]
    size = network.source_power.sqrt()[: network.n_sources, None, None]
    kernel = (network.kernel()[: network.n_sources] / size)[order].cpu()
    spatial, strengths, temporal = torch.linalg.svd(kernel.double(), full_matrices=False)
    spatial, temporal = spatial[:, :, 0] * strengths[:, :1], temporal[:, 0]
    # The mean of a source is that of its channels where the temporal filter lets it through.
    sign = torch.where(temporal.sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    spatial, temporal = spatial * sign, temporal * sign
    response = torch.fft.rfft(temporal, n=2 * (_N_FREQUENCIES - 1)).abs()
    gain = response.amax(dim=1, keepdim=True)
    temporal, spatial = temporal / gain, spatial * gain
    seen, power = _covariances(network, data, kernel, temporal.to(kernel.dtype))
    largest = seen.gather(1, seen.abs().argmax(dim=1, keepdim=True))
    sign = torch.where(largest < 0, -1.0, 1.0)

    weights = values.class_weight[0].double()[:, :, order].transpose(0, 2)  # source, kind, class
    weights = weights * len(values.class_weight)  # of the source, not of both images
    weights[:, 1] *= sign[:, :, None].to(weights.dtype)
    unusual = (values.tokens - values.usual_tokens)[:, 0, :, order].double().transpose(1, 2)
    unusual[:, :, 1] *= sign.to(weights.dtype)
    weights = weights - weights.mean(dim=2, keepdim=True)
    added = torch.einsum("ehkw,hkcw->ehkc", unusual, weights)
    kinds = added.std(dim=0).norm(dim=-1).argmax(dim=-1)
    mine = weights[torch.arange(len(order)), kinds].sum(dim=-1)
    codes = mine.argmax(dim=-1)
    n_classes = weights.shape[2]
    odds = weights[torch.arange(len(order)), :, codes] * n_classes / (n_classes - 1)
    odds = odds * network.gains[:, None].cpu()
    middles = np.arange(network.n_windows) * network.stride + (network.window - 1) / 2
    return SourcePatterns(
        shares=shares[order].numpy(),
        filters=(spatial * sign * network.scale[:, 0].cpu()).numpy(),
        patterns=(seen * sign).numpy(),
        frequencies=np.linspace(0, network.rate / 2, _N_FREQUENCIES),
        responses=(response / gain).numpy(),
        spectra=np.sqrt(power / power.max(axis=1, keepdims=True).clip(1e-30)),
        times=self.source.tmin + middles / network.rate,
        weights=odds.numpy(),
        classes=classifier.classes_[codes.numpy()],
        tokens=np.array(["log power", "mean"])[kinds.numpy()],
        fits=(strengths[:, 0] ** 2 / (strengths**2).sum(dim=1)).numpy(),
    )


def _covariances(network, data, kernel, temporal):
    """Let channels covary with sources, after the same filter, and find the spectra of sources."""
    power = np.zeros((len(kernel), _N_FREQUENCIES))
    covariance = torch.zeros(len(kernel), network.n_chans, dtype=torch.float64)
    variance = torch.zeros(len(kernel), 1, dtype=torch.float64)
    padding = kernel.shape[-1] // 2
    for x in batches(network, data):
        signal = network.prepare(x).cpu()
        sources = F.conv1d(signal, kernel, padding=padding)
        n_fft = 2 * (_N_FREQUENCIES - 1)
        options = {"nperseg": min(n_fft, sources.shape[-1]), "nfft": n_fft}
        power += welch(sources.numpy(), **options)[1].sum(axis=0)
        sources = sources - sources.mean(dim=-1, keepdim=True)
        for source, taps in enumerate(temporal):
            filtered = F.conv1d(signal.flatten(0, 1)[:, None], taps[None, None], padding=padding)
            filtered = filtered.unflatten(0, signal.shape[:2])[:, :, 0]
            covariance[source] += torch.einsum("bct,bt->c", filtered, sources[:, source])
        variance[:, 0] += sources.square().sum(dim=(0, 2))
    n_samples = len(data) * signal.shape[-1]
    scale = network.scale[:, 0].cpu().double()
    # A channel that counts as nothing has no pattern.
    back = torch.where(scale > 0, 1 / scale, 0.0)
    return covariance * back / (variance * n_samples).clamp_min(1e-30).sqrt(), power

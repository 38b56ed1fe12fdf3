"""Tokens of covariance against SciPy's logarithm, and the bands that a signal has."""

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import logm
from scipy.signal import butter, sosfiltfilt
from scipy.signal.windows import tukey

from skeegformer import EEGTransformer
from skeegformer._covariance import CovarianceTokenizer, TaperedSpectrum, default_bands, find_bands

BANDS = [(4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (4.0, 30.0)]
SFREQ = 160.0


def _mixed(n_epochs, n_chans, n_times, seed=0):
    """Noise of sources of different strengths, mixed between channels."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_chans, n_chans)) * np.geomspace(0.3, 3, n_chans)
    return np.einsum("cs,est->ect", mixing, rng.normal(size=(n_epochs, n_chans, n_times)))


def _logarithm_by_hand(piece, low, high, many, shrinkage):
    """Compute the logarithm of a piece's covariance by an FFT and `scipy.linalg.logm`."""
    n_chans, length = piece.shape
    frequencies = np.fft.rfftfreq(length, 1 / SFREQ)
    spectrum = np.fft.rfft((piece - piece.mean(axis=1, keepdims=True)) * tukey(length, 0.2))
    inside = spectrum[:, (frequencies >= low) & (frequencies < high)]
    covariance = (inside @ inside.conj().T).real / inside.shape[1] / length
    power = np.trace(covariance) / n_chans
    if many:
        covariance, power = covariance / power, 1.0
    return logm((1 - shrinkage) * covariance + shrinkage * power * np.eye(n_chans)).real


def _rows_by_hand(x, n_time_tokens, many, n_windows, shrinkage=None):
    """Compute the rows of every band, then of every window, epoch by epoch."""
    n_epochs, n_chans, n_times = x.shape
    if shrinkage is None:
        shrinkage = 0.25 * n_chans / (n_chans + 16)
    if many:
        x = x - x.mean(axis=1, keepdims=True)
    length = n_times // n_time_tokens
    rows = np.empty((n_epochs, n_chans, n_time_tokens, len(BANDS) + n_windows, n_chans))
    for epoch in range(n_epochs):
        for part in range(n_time_tokens):
            segment = x[epoch, :, part * length : (part + 1) * length]
            pieces = [(segment, *band) for band in BANDS]
            if n_windows:
                size = length // n_windows
                pieces += [
                    (segment[:, window * size : (window + 1) * size], *BANDS[-1])
                    for window in range(n_windows)
                ]
            for index, piece in enumerate(pieces):
                rows[epoch, :, part, index] = _logarithm_by_hand(*piece, many, shrinkage)
    return rows.reshape(n_epochs, n_chans, n_time_tokens, -1)


def _waveform_by_hand(x, n_time_tokens, many):
    if many:
        x = x - x.mean(axis=1, keepdims=True)
    return x.reshape(*x.shape[:2], n_time_tokens, 16, -1).mean(axis=-1)


# SciPy says so of an error of 1e-13.
@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")
@pytest.mark.parametrize("n_chans, many", [(20, True), (4, False), (16, True), (15, False)])
@pytest.mark.parametrize("n_time_tokens, n_windows", [(1, 4), (2, 2), (4, 0)])
def test_rows_are_those_of_the_logarithm(n_chans, many, n_time_tokens, n_windows):
    """Of each band, and then of all bands together in each second."""
    x = _mixed(3, n_chans, 640)
    tokenizer = CovarianceTokenizer(n_chans, 640, n_time_tokens, SFREQ, BANDS).double()
    found = tokenizer(torch.from_numpy(x)).numpy()
    assert tokenizer.n_windows == n_windows
    n_rows = (len(BANDS) + n_windows) * n_chans
    assert found.shape == (3, n_chans, n_time_tokens, n_rows + 16)
    np.testing.assert_allclose(
        found[..., :-16], _rows_by_hand(x, n_time_tokens, many, n_windows), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        found[..., -16:], _waveform_by_hand(x, n_time_tokens, many), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("n_chans, expected", [(4, 0.05), (16, 0.125), (64, 0.2)])
def test_shrinkage_grows_with_the_channels(n_chans, expected):
    """And is what was asked for where it was asked for."""
    assert CovarianceTokenizer(n_chans, 160, 1).shrinkage == pytest.approx(expected)
    x = _mixed(2, n_chans, 160)
    tokenizer = CovarianceTokenizer(n_chans, 160, 1, SFREQ, BANDS, shrinkage=0.4).double()
    rows = tokenizer(torch.from_numpy(x)).numpy()[..., :-16]
    np.testing.assert_allclose(
        rows, _rows_by_hand(x, 1, n_chans >= 16, 0, shrinkage=0.4), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "n_times, sfreq, n_time_tokens, n_windows",
    [
        (80, 160.0, 1, 0),  # half a second is looked at once
        (160, 160.0, 1, 0),
        (230, 160.0, 1, 0),  # 1.44 s are nearer to one second than to two
        (256, 160.0, 1, 2),
        (480, 160.0, 1, 3),
        (750, 250.0, 1, 3),
        (480, 160.0, 3, 0),  # three segments of one second
        (960, 160.0, 3, 2),
        (1600, 160.0, 1, 4),  # ten seconds
        (9, 3.0, 1, 0),  # seconds of three samples have no frequencies to speak of
        (16, 8.0, 1, 0),
        (18, 9.0, 1, 2),
        (80, None, 1, 0),
        (160, None, 1, 2),
        (240, None, 1, 3),
        (1000, None, 1, 4),
        (160, None, 2, 0),
    ],
)
def test_number_of_windows(n_times, sfreq, n_time_tokens, n_windows):
    """About one a second, four at most, none where a segment is hardly longer than one."""
    tokenizer = CovarianceTokenizer(3, n_times, n_time_tokens, sfreq)
    assert tokenizer.n_windows == n_windows
    n_features = 3 * (len(tokenizer.bands) + n_windows) + tokenizer.n_points
    found = tokenizer(torch.randn(2, 3, n_times))
    assert found.shape == (2, 3, n_time_tokens, n_features)
    assert torch.isfinite(found).all()


def test_a_change_in_one_second_moves_its_rows_alone_of_those_of_windows():
    x = torch.from_numpy(_mixed(2, 4, 480))
    changed = x.clone()
    changed[:, 1, 160:320] *= 3
    tokenizer = CovarianceTokenizer(4, 480, 1, SFREQ, BANDS).double()
    moved = (tokenizer(changed) - tokenizer(x))[:, :, 0, :-16].unflatten(-1, (-1, 4))
    moved = moved.abs().amax(dim=(0, 3))
    assert (moved[1] > 0.1).tolist() == [True] * len(BANDS) + [False, True, False]
    assert not moved[:, [-3, -1]].any()


def test_a_loud_epoch_is_like_a_quiet_one_where_there_are_many_channels():
    x = torch.from_numpy(_mixed(3, 20, 320))
    tokenizer = CovarianceTokenizer(20, 320, 1, SFREQ, BANDS).double()
    quiet, loud = tokenizer(x), tokenizer(7 * x)
    torch.testing.assert_close(loud[..., :-16], quiet[..., :-16], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(loud[..., -16:], 7 * quiet[..., -16:])
    everywhere = tokenizer(x + torch.randn(3, 1, 320, dtype=torch.float64))
    torch.testing.assert_close(everywhere, quiet)


def test_a_gain_is_an_offset_where_there_are_few_channels():
    x = torch.from_numpy(_mixed(3, 4, 320))
    tokenizer = CovarianceTokenizer(4, 320, 1, SFREQ, BANDS).double()
    change = (tokenizer(7 * x) - tokenizer(x))[..., :-16].unflatten(-1, (len(BANDS) + 2, 4))
    expected = 2 * math.log(7) * torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(
        change, expected[None, :, None, None].expand_as(change), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("n_chans", [5, 20])
@pytest.mark.parametrize("tokenizer", ["covariance", "spectral", "linear"])
@pytest.mark.parametrize("learnt", [False, True])
def test_features_of_the_mirror_image(n_chans, tokenizer, learnt):
    """Also after statistics were learnt from channels that differ much between the sides."""
    network = EEGTransformer(
        n_chans, 2, 640, SFREQ, tokenizer=tokenizer, votes=True, n_time_tokens=2, embed_dim=8
    )
    if tokenizer == "covariance":
        assert network.tokenizer.n_windows == 2
    x = torch.from_numpy(_mixed(12, n_chans, 640)).float()
    x = x * torch.linspace(1, 9, n_chans)[:, None] + torch.linspace(-5, 5, n_chans)[:, None]
    pairs = torch.arange(n_chans)
    pairs[:4] = torch.tensor([2, 3, 0, 1])
    if learnt:
        network.learn_statistics(x, batch_size=5, pairs=pairs)
    features = network.eval().extract_features(x)
    mirrored = network.extract_features(x[:, pairs])
    torch.testing.assert_close(
        mirrored, network.mirror_features(features, pairs), rtol=1e-3, atol=2e-3
    )
    assert not torch.allclose(mirrored, features, atol=0.1)


def test_statistics_learnt_with_pairs_are_those_of_both_sides_together():
    """The average over epochs and mirror images is zero."""
    network = EEGTransformer(5, 2, 160, SFREQ, tokenizer="covariance", embed_dim=8)
    x = torch.from_numpy(_mixed(40, 5, 160)).float() * torch.linspace(1, 9, 5)[:, None]
    pairs = torch.tensor([4, 3, 2, 1, 0])
    network.learn_statistics(x, pairs=pairs)
    both = network.eval().extract_features(torch.cat([x, x[:, pairs]]))
    assert both.mean(dim=0).abs().max() < 1e-3
    together = EEGTransformer(5, 2, 160, SFREQ, tokenizer="covariance", embed_dim=8)
    together.learn_statistics(torch.cat([x, x[:, pairs]]))
    for name, value in together.named_buffers():
        torch.testing.assert_close(
            dict(network.named_buffers())[name], value, rtol=1e-3, atol=1e-4, msg=name
        )


@pytest.mark.parametrize("n_chans, gain, waveform_scale", [(4, 1, 0.4), (32, 2**0.5, 0.1 * 2**0.5)])
def test_rows_have_one_scale_but_own_power_and_what_is_constant_stays_zero(
    n_chans, gain, waveform_scale
):
    options = {"tokenizer": "covariance", "bands": BANDS, "embed_dim": 8}
    network = EEGTransformer(n_chans, 2, 320, SFREQ, **options)
    x = torch.from_numpy(_mixed(50, n_chans, 320)).float()
    if n_chans == 4:  # the mean of many is a reference, and would vary
        x[:, 3] = 5.0
    network.learn_statistics(x)
    n_rows = n_chans * (len(BANDS) + 2)
    features = network.extract_features(x)
    scale = network.standardize_features.scale[:, 0, :n_rows].unflatten(-1, (-1, n_chans))
    is_own = torch.eye(n_chans, dtype=torch.bool)[:, None].expand_as(scale)
    own, shared = (scale[mask & (scale > 0)].unique() for mask in (is_own, ~is_own))
    assert len(own) == len(shared) == 1
    assert float(own / shared) == pytest.approx(gain)
    spread = (features[..., :n_rows] / scale.flatten(1)[:, None] * shared).std(dim=0)
    assert spread[spread > 0].square().mean().sqrt() == pytest.approx(1, abs=0.1)
    waveform = network.standardize_features.scale[..., n_rows:]
    assert waveform[waveform > 0].unique().tolist() == pytest.approx([1 / waveform_scale])
    if n_chans == 4:
        assert not features[:, 3, :, n_rows:].any()


def _check_bands(bands, edges=(4.0, 8.0, 10.0, 13.0, 17.0, 22.0, 30.0)):
    """Adjacent, each at least 1.25 wide as a ratio, cut at classical limits, all of them last."""
    *parts, whole = bands
    assert whole == (parts[0][0], parts[-1][1])
    for (low, high), (next_low, _) in pairwise(parts):
        assert high == next_low
        assert high in edges
        assert high / low >= 1.25
    assert parts[-1][1] / parts[-1][0] >= 1.25


@pytest.mark.parametrize("sfreq", [256.0, None])
def test_long_segments_have_the_same_spectrum_without_a_table(sfreq):
    """Their table, which grows with the square of their length, is not kept."""
    long, short = (TaperedSpectrum(length, slice(3, 700)) for length in (2000, 700))
    assert long.basis is None
    assert short.basis is not None
    x = torch.randn(4, 3, 2000, generator=torch.Generator().manual_seed(0)) + 5.0
    centred = x - x.mean(dim=-1, keepdim=True)
    torch.testing.assert_close(long(x), centred @ long.make_basis(), rtol=1e-4, atol=1e-4)
    epochs = torch.randn(2, 3, 7680, generator=torch.Generator().manual_seed(0))
    tokenizer = CovarianceTokenizer(3, 7680, 1, sfreq)
    tables = sum(buffer.numel() for buffer in tokenizer.buffers())
    assert tables < 2**21
    assert tokenizer(epochs).isfinite().all()


def test_bands_of_filtered_epochs():
    """8 to 30 Hz: 10 to 22 Hz cut them; slopes of the filter reach a little beyond."""
    noise = np.random.default_rng(0).normal(size=(30, 3, 480))
    sos = butter(4, (8.0, 30.0), "bandpass", fs=SFREQ, output="sos")
    bands = find_bands(sosfiltfilt(sos, noise).astype(np.float32), SFREQ)
    _check_bands(bands)
    assert 6 <= bands[-1][0] <= 8
    assert 30 <= bands[-1][1] <= 38
    assert {10.0, 13.0, 17.0, 22.0} <= {low for low, _ in bands}
    assert (10.0, 13.0) in bands


@pytest.mark.parametrize("gain", [1e-6, 1.0, 1e6])
def test_bands_of_white_noise_are_all_there_are(gain):
    noise = gain * np.random.default_rng(0).normal(size=(20, 2, 480))
    bands = find_bands(noise, SFREQ)
    _check_bands(bands)
    assert bands[1:-2] == [(4, 8), (8, 10), (10, 13), (13, 17), (17, 22), (22, 30)]
    assert bands[-2][0] == 30
    assert 0.5 <= bands[-1][0] <= 4
    assert 44.5 <= bands[-1][1] <= 45.5


def test_bands_without_a_sampling_rate_are_octaves():
    noise = np.random.default_rng(0).normal(size=(20, 2, 480))
    bands = find_bands(noise)
    _check_bands(bands, edges=(1 / 32, 1 / 16, 1 / 8, 1 / 4))
    assert bands[-1][1] == pytest.approx(0.5, abs=0.01)


def test_one_loud_channel_does_not_hide_the_bands_of_others():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(20, 2, 480))
    slow = 1e5 * np.sin(2 * np.pi * 2 * np.arange(480) / SFREQ + rng.uniform(0, 6, (20, 1)))
    noise[:, 1] = slow
    assert find_bands(noise, SFREQ)[-1][1] > 40


def test_hum_that_drowns_all_rhythms_is_told():
    """Without a sampling rate it may be any rhythm; what a filter has left may be narrow."""
    noise = np.random.default_rng(0).normal(size=(20, 3, 480)).cumsum(axis=-1)
    noise -= noise.mean(axis=-1, keepdims=True)
    hum = 2 * noise.std() * np.sin(2 * np.pi * 50 * np.arange(480) / SFREQ)
    with pytest.warns(UserWarning, match=r"at 0\.3.* to 0\.3.* of the sampling rate.*give sfreq"):
        find_bands(noise + hum)
    narrow = sosfiltfilt(butter(4, (11.0, 13.0), "bandpass", fs=SFREQ, output="sos"), noise)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_bands(noise + hum, SFREQ)[-1][1] > 40
        assert len(find_bands(narrow, SFREQ)) == 1
        find_bands(narrow)


@pytest.mark.parametrize("n_times", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("sfreq", [None, SFREQ])
@pytest.mark.parametrize("n_chans", [1, 4, 20])
@pytest.mark.parametrize("kind", ["noise", "constant", "zero", "one constant channel"])
def test_whatever_comes_features_are_finite(n_times, sfreq, n_chans, kind):
    x = np.random.default_rng(0).normal(size=(6, n_chans, n_times)).astype(np.float32)
    if kind == "zero":
        x[:] = 0
    else:
        x[:, : 1 if kind == "one constant channel" else n_chans] = 3 if kind != "noise" else x
    for bands in (find_bands(x, sfreq), None):
        network = EEGTransformer(
            n_chans, 2, n_times, sfreq, tokenizer="covariance", bands=bands, votes=True, embed_dim=8
        )
        network.learn_statistics(torch.from_numpy(x))
        features = network.extract_features(torch.from_numpy(x))
        assert features.shape[-1] == len(network.tokenizer.frequencies)
        assert torch.isfinite(features).all()
        assert torch.isfinite(network(torch.from_numpy(x))).all()


def test_frequencies_of_features():
    """All bands together, in the whole segment and in each second, are of no single frequency."""
    middles = [6.0] * 3 + [10.5] * 3 + [21.5] * 3 + [math.inf] * 3
    for n_times, n_windows in ((160, 0), (320, 2), (480, 3)):
        tokenizer = CovarianceTokenizer(3, n_times, 1, SFREQ, BANDS)
        assert tokenizer.frequencies == middles + [math.inf] * 3 * n_windows + [None] * 16
    n_rows = len(default_bands(320)) + 4
    assert CovarianceTokenizer(3, 320, 1).frequencies == [None] * (n_rows * 3 + 16)


def test_bands_without_a_frequency_are_left_out():
    """Half a second has multiples of 2 Hz, and none from 4.5 to 5.5 Hz."""
    bands = [(4.5, 5.5), (5.5, 20.0), (4.5, 20.0)]
    assert CovarianceTokenizer(3, 80, 1, SFREQ, bands).bands == bands[1:]


@pytest.mark.parametrize("sfreq", [None, 50.0, 160.0, 1000.0])
@pytest.mark.parametrize("n_times", [1, 2, 7, 100, 320])
def test_default_bands_are_increasing(n_times, sfreq):
    for low, high in default_bands(n_times, sfreq):
        assert 0 < low < high

"""The time courses that simulated EEG is made of."""

import numpy as np

HALF_BAND = 2.0  # Hz, on either side of the peak, in which `snr` counts
SPREAD_FREQUENCY = 0.7  # Hz, of a subject's peak
BANDS = {"delta": (1.0, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
_BANDWIDTH = 1.0  # Hz, standard deviation of the spectrum of the rhythm around its peak
_SPREAD_TRIAL = 0.3  # of the logarithm of a trial's rhythm, potential or blink
_EVOKED_WIDTH = 0.06  # s, standard deviation of an evoked potential around its peak
_BLINK_PEAK = 150.0  # microvolts
_BLINK_WIDTHS = 0.06, 0.12  # s, of the closing and the opening of the lids
_SPREAD_LINE = 0.2  # of the logarithm of the line noise of an electrode


def one_over_f(slope):
    """Return the power spectrum of the background; flat below 1 Hz, where EEG is filtered."""
    return lambda f: np.where(f > 0, np.maximum(f, 1.0) ** -slope, 0.0)


def rhythm_spectrum(frequency, width=_BANDWIDTH):
    """Return the power spectrum of a rhythm."""
    return lambda f: np.exp(-0.5 * ((f - frequency) / width) ** 2)


def share(spectrum, frequency, n_times, sfreq):
    """Return the share of a spectrum's power that lies near a frequency."""
    f = np.fft.rfftfreq(2 * n_times, 1 / sfreq)
    return spectrum(f)[abs(f - frequency) <= HALF_BAND].sum() / spectrum(f).sum()


def noise(shape, sfreq, spectrum, rng):
    """Return Gaussian noise with a spectrum and a mean square of 1."""
    n_times = shape[-1]
    # Shaped noise repeats itself; the half that is dropped keeps the ends of an epoch apart.
    n_made = 2 * n_times
    power = spectrum(np.fft.rfftfreq(n_made, 1 / sfreq))
    white = rng.standard_normal((*shape[:-1], n_made))
    shaped = np.fft.irfft(np.fft.rfft(white) * np.sqrt(power / power.mean()), n_made)
    return shaped[..., :n_times]


def rhythm(frequency, n_epochs, n_sources, n_times, sfreq, rng):
    """Return the rhythm of each source, whose strength varies from epoch to epoch."""
    waves = noise((n_epochs, n_sources, n_times), sfreq, rhythm_spectrum(frequency), rng)
    # In this order of operations, because seeds promise data that are equal to the bit.
    varying = np.exp(_SPREAD_TRIAL * rng.standard_normal((n_epochs, n_sources, 1)))
    return waves * varying / np.exp(_SPREAD_TRIAL**2)


def strength(shape, rng, spread=_SPREAD_TRIAL):
    """Return factors with a mean square of 1 that vary from epoch to epoch."""
    return np.exp(spread * rng.standard_normal(shape) - spread**2)


def evoked_waveform(latency, n_times, sfreq):
    """Return a potential with a peak of 1 at a latency."""
    t = np.arange(n_times) / sfreq
    return np.exp(-0.5 * ((t - latency) / _EVOKED_WIDTH) ** 2)


def blinks(rate, n_epochs, n_times, sfreq, rng):
    """Return blinks at random times, in microvolts where they are largest: (n_epochs, n_times)."""
    t = np.arange(n_times) / sfreq
    data = np.zeros((n_epochs, n_times))
    for epoch, count in enumerate(rng.poisson(rate / 60 * n_times / sfreq, n_epochs)):
        for peak in rng.uniform(0, n_times / sfreq, count):
            width = np.where(t < peak, *_BLINK_WIDTHS)
            lid = np.exp(-0.5 * ((t - peak) / width) ** 2)
            data[epoch] += _BLINK_PEAK * np.exp(_SPREAD_TRIAL * rng.standard_normal()) * lid
    return data


def line_noise(frequency, shape, sfreq, rng):
    """Return the mains: one phase in all electrodes, of a mean square around 1."""
    n_epochs, n_chans, n_times = shape
    phase = rng.uniform(0, 2 * np.pi, (n_epochs, 1, 1))
    size = np.exp(_SPREAD_LINE * rng.standard_normal((n_chans, 1)))
    wave = np.sin(2 * np.pi * frequency * np.arange(n_times) / sfreq + phase)
    return np.sqrt(2) * size * wave


def rhythm_bands(frequency, variability):
    """Return which share of a rhythm's power lies in each band, over all subjects."""
    f = np.arange(0.05, 100, 0.1)
    width = np.hypot(_BANDWIDTH, SPREAD_FREQUENCY * variability)
    return _shares(f, rhythm_spectrum(frequency, width)(f))


def evoked_bands():
    """Return which share of an evoked potential's power lies in each band.

    What is slower than 1 Hz is left out: no band has it, and filters take it from EEG.
    """
    f = np.arange(1.05, 100, 0.1)
    return _shares(f, np.exp(-((2 * np.pi * _EVOKED_WIDTH * f) ** 2)))


def _shares(f, power):
    total = power.sum()
    return np.array([power[(f >= low) & (f < high)].sum() / total for low, high in BANDS.values()])

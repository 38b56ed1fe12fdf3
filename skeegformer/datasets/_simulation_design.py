"""What `make_simulated_eeg` is asked for, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real

import numpy as np

from skeegformer.datasets._channels import CH_NAMES

_MARGIN = 4.0  # Hz, that a rhythm keeps from 0 and from half the sampling frequency


@dataclass(frozen=True, eq=False)
class Design:
    """The parameters of `make_simulated_eeg` that shape the data, checked and completed.

    `sources` and `evoked` come to have all classes.
    """

    n_subjects: int
    n_epochs: int
    sources: dict
    evoked: dict
    sfreq: float
    duration: float
    frequency: float | dict
    latency: float
    snr: float
    background: float
    slope: float
    variability: float
    alpha_snr: float
    blink_rate: float
    n_distractors: int
    distractor_gain: float
    n_line_noise: int
    line_freq: float
    n_redundant: int
    n_suppressors: int

    def __post_init__(self):
        sources, evoked = _check_sources(self.sources, self.evoked)
        object.__setattr__(self, "sources", sources)
        object.__setattr__(self, "evoked", evoked)
        _check_counts(self)
        for name in ("sfreq", "duration", "background", "latency", "line_freq"):
            _check_number(self, name, above=True)
        for name in ("snr", "variability", "slope", "alpha_snr", "blink_rate", "distractor_gain"):
            _check_number(self, name)
        _check_frequency(self)
        _check_fit(self)

    @property
    def n_times(self):
        """Length of an epoch in samples."""
        return round(self.duration * self.sfreq)

    @cached_property
    def electrodes(self):
        """Class to the electrodes above its sources of either kind."""
        return {
            label: tuple(dict.fromkeys([*names, *self.evoked[label]]))
            for label, names in self.sources.items()
        }

    @cached_property
    def named(self):
        """All electrodes above sources, each once."""
        return list(dict.fromkeys(name for names in self.electrodes.values() for name in names))

    @cached_property
    def rhythms(self):
        """Class and electrode of every rhythm."""
        return [(label, name) for label, names in self.sources.items() for name in names]

    @cached_property
    def frequencies(self):
        """Class to the peak of its rhythm in Hz; classes without a rhythm may lack it."""
        if isinstance(self.frequency, Mapping):
            return {str(label): peak for label, peak in self.frequency.items()}
        return dict.fromkeys(self.sources, self.frequency)

    @cached_property
    def mean_frequency(self):
        """Peak of the rhythm in Hz, on average over classes."""
        if isinstance(self.frequency, Mapping):
            return float(np.mean(list(self.frequency.values())))
        return self.frequency


def _check_sources(sources, evoked):
    """Return class to electrodes, and class to electrode to peak, both with all classes."""
    if sources is None:
        sources = {"left": "C3", "right": "C4"} if evoked is None else {}
    if not isinstance(sources, Mapping):
        raise ValueError(
            f"sources={sources!r} is not a dict of class to electrodes, such as "
            '{"left": "C3", "right": "C4"}.'
        )
    sources = {
        str(label): (names,) if isinstance(names, str) else tuple(names)
        for label, names in sources.items()
    }
    given = "sources names" if evoked is None else "sources and evoked together name"
    evoked = _check_evoked({} if evoked is None else evoked)
    labels = list(dict.fromkeys([*sources, *evoked]))
    if len(labels) < 2:
        raise ValueError(f"{given} {len(labels)} class(es); two or more are needed.")
    for parameter, part in (("sources", sources), ("evoked", evoked)):
        unknown = [name for names in part.values() for name in names if name not in CH_NAMES]
        if unknown:
            raise ValueError(
                f"{parameter} names the electrode {unknown[0]!r}, which is not one of the 64: "
                f"{', '.join(CH_NAMES)}."
            )
    return {k: sources.get(k, ()) for k in labels}, {k: evoked.get(k, {}) for k in labels}


def _check_evoked(evoked):
    """Return class to electrode to peak amplitude."""
    for entry in evoked.values() if isinstance(evoked, Mapping) else [evoked]:
        if not isinstance(entry, Mapping):
            raise ValueError(
                f"evoked has {entry!r} where a dict of electrode to peak in microvolts was "
                'expected; write for example evoked={"target": {"Pz": 8.0}, "standard": {}}.'
            )
        for name, peak in entry.items():
            if not isinstance(peak, Real) or not np.isfinite(peak):
                raise ValueError(f"evoked gives {name} {peak!r}; a peak is a number of microvolts.")
    return {str(label): dict(entry) for label, entry in evoked.items()}


def _check_counts(design):
    """Refuse counts that leave a class, or everything, without data."""
    n_subjects, n_epochs, n_classes = design.n_subjects, design.n_epochs, len(design.sources)
    if not isinstance(n_subjects, Integral) or n_subjects < 1:
        raise ValueError(f"n_subjects={n_subjects!r} is not a positive integer.")
    if not isinstance(n_epochs, Integral) or n_epochs < n_classes:
        raise ValueError(
            f"n_epochs={n_epochs!r} per subject; {n_classes} classes need at least as many."
        )
    for name in ("n_distractors", "n_line_noise", "n_redundant", "n_suppressors"):
        number = getattr(design, name)
        if not isinstance(number, Integral) or number < 0:
            raise ValueError(f"{name}={number!r} is not an integer of 0 or more.")


def _check_number(design, name, above=False):
    """Refuse what is no finite number of 0 or more, or above 0."""
    value = getattr(design, name)
    if not isinstance(value, Real) or not np.isfinite(value) or value < 0 or (above and not value):
        what = "above 0" if above else "of 0 or more"
        raise ValueError(f"{name}={value!r}; give a finite number {what}.")


def _check_frequency(design):
    """Refuse peaks that the sampling frequency cannot hold, and classes left out."""
    peaks = design.frequencies
    expected = {label for label, _ in design.rhythms}
    if not expected <= set(peaks) <= set(design.sources) or not peaks:
        raise ValueError(
            f"frequency has the classes {', '.join(peaks) or '(none)'}, but those with a rhythm "
            f"are {', '.join(sorted(expected)) or '(none)'}; give one number for each of these, "
            "or a single number."
        )
    highest = design.sfreq / 2 - _MARGIN
    for label, peak in peaks.items():
        if not isinstance(peak, Real) or not _MARGIN < peak < highest:
            of_class = f"[{label!r}]" if isinstance(design.frequency, Mapping) else ""
            raise ValueError(
                f"frequency{of_class}={peak} Hz; at sfreq={design.sfreq} Hz the rhythm must lie "
                f"between {_MARGIN} and {highest} Hz."
            )


def _check_fit(design):
    """Refuse what is right by itself but not together."""
    if any(design.evoked.values()) and design.latency >= design.duration:
        raise ValueError(
            f"latency={design.latency} s, but epochs last duration={design.duration} s; the peak "
            "has to lie within them."
        )
    if design.n_line_noise and design.line_freq >= design.sfreq / 2:
        raise ValueError(
            f"line_freq={design.line_freq} Hz, but at sfreq={design.sfreq} Hz there is nothing "
            f"from {design.sfreq / 2} Hz on; raise sfreq."
        )
    if design.n_suppressors and not design.rhythms:
        raise ValueError(
            f"n_suppressors={design.n_suppressors}, but no class has a rhythm for them; "
            "name its electrode in sources."
        )
    if design.n_redundant and not design.named:
        raise ValueError(
            f"n_redundant={design.n_redundant}, but no class has a source that could be copied; "
            "name one in sources or evoked."
        )

"""The head of simulated EEG: what electrodes see of sources inside it."""

from functools import lru_cache

import mne
import numpy as np

from skeegformer.datasets._channels import CH_NAMES, SFREQ, electrode_montage

_DEPTH = 0.8  # of a source, as a fraction of the way from the centre of the head to the scalp
_N_BACKGROUND = 200  # dipoles, more than electrodes, so that the background has full rank
_SENSOR_NOISE = 0.01  # share of the background's power that no two electrodes have in common
_SPREAD_POSITION = 0.006  # m, of a subject's sources along each axis
_SPREAD_BACKGROUND = 0.3  # of the logarithm of a background dipole


def indices(names):
    """Return where electrodes stand among the channels."""
    return [CH_NAMES.index(name) for name in names]


@lru_cache(maxsize=1)
def _head():
    """Return the electrodes and the spherical head that fits them; both take a while to make."""
    info = mne.create_info(list(CH_NAMES), SFREQ, "eeg")
    info.set_montage(electrode_montage())
    return info, mne.make_sphere_model("auto", "auto", info, verbose="ERROR")


def _on_source_sphere(directions):
    """Return the places at the depth of the sources that lie in some directions."""
    _, sphere = _head()
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return sphere["r0"] + _DEPTH * sphere.radius * unit


def places_below(names):
    """Return the places below electrodes, of shape (n_names, 3)."""
    info, sphere = _head()
    electrodes = np.array([info["chs"][k]["loc"][:3] for k in indices(names)]).reshape(-1, 3)
    return _on_source_sphere(electrodes - sphere["r0"])


def lead_field(places):
    """Return what each electrode sees of dipoles that point outwards: (n_chans, n_places)."""
    info, sphere = _head()
    if not len(places):
        return np.zeros((len(CH_NAMES), 0))
    outwards = places - sphere["r0"]
    outwards = outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
    zeros, ones = np.zeros(len(places)), np.ones(len(places))
    dipoles = mne.Dipole(zeros, places, 1e-9 * ones, outwards, 100 * ones)
    forward, _ = mne.make_forward_dipole(dipoles, sphere, info, verbose="ERROR")
    return forward["sol"]["data"]


def unit_field(names):
    """Return the lead field of sources below electrodes, at most 1: (n_chans, n_names)."""
    field = lead_field(places_below(names))
    return field / abs(field).max(axis=0, keepdims=True) if len(names) else field


@lru_cache(maxsize=1)
def blink_field():
    """Return what each electrode sees of a blink, at most 1."""
    field = unit_field(["Fp1", "Fp2"]).sum(axis=1)
    return field / field.max()


def shifted_fields(names, n_subjects, variability, rng):
    """Return each subject's lead field, at most 1: (n_subjects, n_chans, n_names)."""
    _, sphere = _head()
    places = places_below(names)
    shift = variability * _SPREAD_POSITION * rng.standard_normal((n_subjects, *places.shape))
    shifted = _on_source_sphere(places + shift - sphere["r0"])
    fields = lead_field(shifted.reshape(-1, 3)).reshape(len(CH_NAMES), n_subjects, len(places))
    fields = fields.transpose(1, 0, 2)
    return fields / abs(fields).max(axis=1, keepdims=True) if len(places) else fields


@lru_cache(maxsize=1)
def _background_field():
    """Return the lead field of background dipoles, spread evenly over a cap of the brain."""
    k = np.arange(_N_BACKGROUND) + 0.5
    height = 1 - 1.5 * k / _N_BACKGROUND
    around = np.pi * (1 + np.sqrt(5)) * k  # the golden angle keeps neighbours apart
    radius = np.sqrt(1 - height**2)
    directions = np.column_stack([radius * np.cos(around), radius * np.sin(around), height])
    return lead_field(_on_source_sphere(directions))


def background_mixing(variability, rng):
    """Return the mixing of white noise into a background with a mean square of 1.

    Equal in distribution to the sum over all dipoles, and cheaper: (n_chans, n_chans).
    """
    weights = np.exp(_SPREAD_BACKGROUND * variability * rng.standard_normal(_N_BACKGROUND))
    field = _background_field() * weights
    covariance = field @ field.T
    covariance *= (1 - _SENSOR_NOISE) / np.diag(covariance).mean()
    return np.linalg.cholesky(covariance + _SENSOR_NOISE * np.eye(len(CH_NAMES)))

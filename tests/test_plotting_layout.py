"""Where electrodes go on the plane."""

import mne
import numpy as np
import pytest
from explanation_factory import CH_NAMES, make_info

from skeegformer.plotting._electrodes import head_layout


def on_sphere(names, polar, azimuth, *, tilt=0.0, radius=0.09):
    """Return an Info with electrodes on a sphere whose top leans back by an angle."""
    x, y = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth)
    z = np.cos(polar)
    y, z = np.cos(tilt) * y - np.sin(tilt) * z, np.sin(tilt) * y + np.cos(tilt) * z
    places = radius * np.column_stack([x, y, z]) + [0.001, 0.02, 0.04]
    info = mne.create_info(names, 100.0, "eeg")
    for channel, place in zip(info["chs"], places, strict=True):
        channel["loc"][:3] = place
    return info


@pytest.mark.parametrize("tilt", [0.0, -0.15])
def test_distance_from_the_centre_is_the_angle_from_the_top(tilt):
    rng = np.random.default_rng(0)
    polar, azimuth = rng.uniform(0.1, 2.0, 22), rng.uniform(-np.pi, np.pi, 22)
    polar[:2], azimuth[:2] = np.pi / 2, (np.pi / 2, -np.pi / 2)
    names = ["Fpz", "Oz", *(f"E{k}" for k in range(20))]
    places = head_layout(on_sphere(names, polar, azimuth, tilt=tilt))
    expected = polar / (np.pi / 2) * [np.cos(azimuth), np.sin(azimuth)]
    np.testing.assert_allclose(places.T, expected, atol=1e-6)


def test_the_template_has_its_equator_on_the_circle():
    places = dict(zip(CH_NAMES, head_layout(make_info()), strict=True))
    np.testing.assert_allclose(places["Cz"], (0, 0), atol=0.06)
    np.testing.assert_allclose(places["Oz"], (0, -1), atol=0.06)
    np.testing.assert_allclose(places["Fpz"], (0, 1), atol=0.06)
    np.testing.assert_allclose(places["C3"] * [-1, 1], places["C4"], atol=0.06)


def test_few_electrodes_or_none_of_a_head_are_seen_from_a_standard_centre():
    few = dict(zip(CH_NAMES[:8], head_layout(make_info(CH_NAMES[:8])), strict=True))
    np.testing.assert_allclose(few["Fpz"], (0, 1), atol=0.1)
    np.testing.assert_allclose(few["F3"] * [-1, 1], few["F4"], atol=0.06)
    angles = np.linspace(0.1, 1.5, 20)
    huge = head_layout(on_sphere([f"E{k}" for k in range(20)], angles, 7 * angles, radius=0.4))
    np.testing.assert_allclose(np.hypot(*huge.T), angles / (np.pi / 2), atol=0.05)

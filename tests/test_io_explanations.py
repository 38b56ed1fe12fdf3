"""Explanations on disk and back, and damaged files."""

import re
from dataclasses import fields, replace

import numpy as np
import pytest
from explanation_factory import full_explanation

from skeegformer.explain import Explanation
from skeegformer.explain.explanation import Source

N_EPOCHS = 12


@pytest.fixture
def explanation(simulated):
    return full_explanation(simulated[0].info)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "explanation.safetensors"


def again(explanation, path):
    return Explanation.load(explanation.save(path, overwrite=True))


def assert_equal(found, expected):
    """Compare all fields, types included."""
    for name in (part.name for part in fields(Explanation)):
        value, truth = getattr(found, name), getattr(expected, name)
        if name == "info":
            if truth is not None:
                assert value["ch_names"] == truth["ch_names"]
                assert (value["sfreq"], value["bads"]) == (truth["sfreq"], truth["bads"])
        elif name == "source":
            assert value is None
        elif isinstance(truth, np.ndarray):
            assert value.dtype == truth.dtype, name
            np.testing.assert_array_equal(value, truth)
        else:
            assert value == truth, name
            assert type(value) is type(truth), name


def test_what_is_loaded_is_what_was_saved(explanation, path):
    found = again(explanation, path)
    assert_equal(found, explanation)
    np.testing.assert_array_equal(found.positions, explanation.positions)
    assert repr(found) == repr(explanation)
    assert_equal(again(found, path), explanation)


def test_little_is_saved_as_little(explanation, path):
    bare = Explanation(
        *(explanation.token_values, explanation.probabilities, explanation.classes),
        **{"y": None, "ch_names": None, "info": None, "method": "rollout"},
        parts=explanation.parts,
        source=Source("a model", "an explainer", np.ones(3)),
    )
    assert_equal(again(bare, path), bare)


def test_every_value_is_in_the_table(explanation):
    frame = explanation.to_dataframe()
    assert len(frame) == explanation.token_values.size
    cube = frame.set_index(["epoch", "channel", "part"])["value"]
    for epoch, channel, part in ((0, 0, 0), (7, 20, 1), (11, 63, 2)):
        value = cube.loc[epoch, explanation.ch_names[channel], explanation.parts[part]]
        assert value == explanation.token_values[epoch, channel, part]
    epochs = frame.drop_duplicates("epoch").rename(columns={"label": "y"})
    for name in ("subject", "y", "prediction", "confidence", "target"):
        field = name if name == "y" else f"{name}s"
        np.testing.assert_array_equal(epochs[name], getattr(explanation, field))
    bare = replace(explanation, y=None, subjects=None, targets=None, ch_names=None, info=None)
    frame = bare.to_dataframe()
    assert frame[["subject", "label", "target"]].isna().all(axis=None)
    assert frame["channel"].iloc[3] == "channel 1"


def test_labels_that_would_have_to_be_pickled_are_refused(explanation, path):
    labels = np.array([object()] * N_EPOCHS)
    with pytest.raises(TypeError, match=r"subjects is, or holds, a object, which cannot be saved"):
        replace(explanation, subjects=labels).save(path)
    assert not path.exists()


def test_objects_among_settings_become_text(explanation, path):
    settings = {"bands": {"alpha": (8.0, np.float64(13.0))}, "kind": str, "limit": np.inf}
    found = again(replace(explanation, settings=settings), path)
    assert found.settings == {**settings, "kind": "<class 'str'>"}


def test_damaged_files_are_refused_or_whole(explanation, path):
    """Change any byte: an error, or what was saved."""
    whole = explanation.save(path).read_bytes()
    rng = np.random.default_rng(0)
    header_end = 8 + int.from_bytes(whole[:8], "little")
    refused = []
    for place in [*rng.integers(len(whole), size=60), *rng.integers(header_end, size=60)]:
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        path.write_bytes(changed)
        try:
            assert_equal(Explanation.load(path), explanation)
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(re.search("damaged|checksum|is no explanation", text) for text in refused)

"""Bad input to every public function: each is refused in a sentence, or warned about.

A row is what a user might do, and words of what is said. A refusal comes from this package or from
scikit-learn's own checks of input, never out of torch, SciPy, MNE or pandas.
"""

import json
import os
import shutil
import signal
import sys
import time
import traceback
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import joblib
import matplotlib.pyplot as plt
import mne
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    Freezer,
    InputShapeSetter,
    LRScheduler,
    TensorBoard,
)
from test_surroundings import Writer
from test_training import LogPower

from skeegformer import (
    AttentionExplainer,
    BandPassFilter,
    ChannelDropper,
    ChannelPicker,
    EEGTransformerClassifier,
    EuclideanAlignment,
    Explanation,
    FixedSplit,
    NetworkClassifier,
    NotchFilter,
    OriginalTransformerClassifier,
    Resampler,
    ResumableTraining,
    StreamPredictor,
    attention_rollout,
    channel_permutation_importance,
    concatenate_explanations,
    cross_subject_scores,
    export_memmap,
    export_network,
    load_eegmmi,
    load_memmap,
    load_model,
    make_baseline,
    make_simulated_eeg,
    record_attention,
    run_benchmark,
    save_model,
    write_memmap,
)
from skeegformer.baselines.braindecode import BraindecodeClassifier
from skeegformer.datasets import MappedEpochs
from skeegformer.datasets._channels import CH_NAMES
from skeegformer.evaluation import summarize_scores
from skeegformer.io._format import checksum, write_file
from skeegformer.plotting import ConnectionDisplay, TopomapDisplay, plot_scores
from skeegformer.preprocessing import mirror_pairs

NAMES = ["F3", "F4", "C3", "Cz", "C4", "Pz"]
EYES = "baseline-eyes"
SPELT = ["s1", "S1", "s2", "s3"] * 10
KEYS = ("shape", "unit", "channels", "label_types", "line_freq")


def make(**params):
    return EEGTransformerClassifier(**{"n_heads": 2, "max_epochs": 1, "random_state": 0} | params)


@pytest.fixture(scope="module")
def s(tmp_path_factory):
    """Epochs, labels and subjects of four people, a classifier, an explanation and their files."""
    X, y, metadata, _ = make_simulated_eeg(4, 10, duration=0.5, random_state=0)
    X = X.pick(NAMES)
    array, folder = X.get_data(units="uV"), tmp_path_factory.mktemp("bad")
    clf, of_arrays = make().fit(X, y), make(sfreq=160.0).fit(array, y)
    return SimpleNamespace(
        X=X, y=y, g=metadata["subject"].to_numpy(), A=array, info=X.info, folder=folder, clf=clf,
        of_arrays=of_arrays, adapted=make(adapt=True).fit(X, y),
        raw=mne.io.RawArray(array[0], X.info, verbose="ERROR"),
        explanation=(explanation := AttentionExplainer().explain(clf, X, y)),
        export=write_memmap(X, y, metadata, folder / "export", "a"),
        model=save_model(clf, folder / "model.safetensors"),
        saved=explanation.save(folder / "explanation.safetensors"),
    )  # fmt: skip


def adapted(s, before, now):
    return make(adapt=True).fit(s.X, s.y, before).predict(s.X, now)


def aligned(s, before, now):
    return EuclideanAlignment().fit(s.X, groups=before).transform(s.X, groups=now)


def fit(X=None, y=None, groups=None, sample_weight=None, **params):
    """Make a step that fits; what is a function is made of the fixture."""

    def step(s):
        one, labels = (v(s) if callable(v) else v for v in (X, y))
        one, labels = s.X if one is None else one, s.y if labels is None else labels
        weight = sample_weight(s) if callable(sample_weight) else sample_weight
        return make(**params).fit(one, labels, groups, weight)

    return step  # fmt: skip


def changed(s, factor, rows=slice(None)):
    """Make other epochs some times as large."""
    X = s.X.copy()
    X._data[rows] *= factor
    return X


def other(s, types="eeg", names=None, rate=160.0):
    names = names or [f"x{i}" for i in range(6)]
    return mne.EpochsArray(s.A * 1e-6, mne.create_info(names, rate, types), verbose="ERROR")


def swapped(s):
    return s.X.copy().rename_channels({"C3": "C4", "C4": "C3"})


def text_in(s, name, text):
    """Write a file of text or bytes."""
    path = Path(s.folder, name)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def header(**changes):
    """Make a step that reads an export whose header was changed."""

    def step(s):
        folder = s.folder / "other"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(s.export.parent, folder)
        (head,) = folder.glob("head-*")
        head.write_text(json.dumps(json.loads(head.read_text()) | changes))
        return load_memmap(folder)

    return step  # fmt: skip


def explain(X=None, y=None, estimator=None, **params):
    def step(s):
        given = (s.X if X is None else X(s)), (s.y if y is None else y)
        return AttentionExplainer(**params).explain(estimator or s.clf, *given)

    return step  # fmt: skip


def joined(**changes):
    return lambda s: concatenate_explanations([s.explanation, replace(s.explanation, **changes)])


def score(pipelines=None, groups=None, y=None, **options):
    def step(s):
        given = {"a": make_baseline("chance")} if pipelines is None else pipelines
        subjects = s.g if groups is None else groups
        return cross_subject_scores(given, s.X, s.y if y is None else y, subjects, **options)

    return step  # fmt: skip


def ask(method, *given, change=None, **options):
    """Make a step that calls a method of the explanation, perhaps with other fields."""

    def step(s):
        other = {name: v(s) if callable(v) else v for name, v in (change or {}).items()}
        return getattr(replace(s.explanation, **other), method)(*given, **options)

    return step  # fmt: skip


def permute(**options):
    return lambda s: channel_permutation_importance(s.clf, s.X, s.y, **options)


def network(module, params=None):
    return lambda s: NetworkClassifier(module, module_params=params, max_epochs=1).fit(s.X, s.y)


class Answers(LogPower):
    def forward(self, x):
        return {"logits": super().forward(x)}


class Plain(torch.nn.Module):
    def forward(self, x):
        return x.mean(-1)[:, :2]


def original(**params):
    params |= {"max_epochs": 1, "early_stopping": False}
    return lambda s: OriginalTransformerClassifier(**params).fit(s.X, s.y)


def write(**given):
    """Make a step that writes an export of the fixture's epochs, but for what is given."""
    return lambda s: write_memmap(
        **{"X": s.X, "y": s.y, "folder": s.folder / "new"}
        | {name: v(s) if callable(v) else v for name, v in given.items()}
    )


def eegmmi(task=EYES, **options):
    return lambda s: load_eegmmi(task, **{"subjects": 1} | options)


def benchmark(**options):
    """Make a step that runs a benchmark of chance on the fixture's epochs."""
    options = {"tasks": "simulated"} | options
    pipelines = {"strict": {"a": make_baseline("chance")}}
    return lambda s: run_benchmark(pipelines, lambda task: (s.X, s.y, s.g), **options)


def simulate(**options):
    return lambda s: make_simulated_eeg(1, **{"n_epochs": 4} | options)


def stream(chunk=None, **params):
    def step(s):
        return StreamPredictor(s.clf, **{"unit": "uV"} | params).push(chunk)

    return step  # fmt: skip


def masked(values):
    return np.ma.masked_array(values, np.arange(np.size(values)).reshape(np.shape(values)) == 0)


KINDS = [  # of X and y
    ("X is a generator, but .* takes epochs", fit(lambda s: (x for x in s.X))),
    ("X is a map, but", fit(lambda s: map(np.asarray, s.A))),
    ("X is a set, but", fit(lambda s: {1, 2})),
    ("X is a str, but", fit("epochs.fif")),
    ("X is a PosixPath|X is a WindowsPath", fit(lambda s: s.export)),
    ("X is a dict, but", fit(lambda s: {"X": s.A})),
    ("X is None, but", lambda s: make().fit(None, s.y)),
    ("X is a RawArray, but .* cut recordings with mne.Epochs", fit(lambda s: s.raw)),
    ("X is a list of RawArray", fit(lambda s: [s.raw, s.raw])),
    ("X is a EvokedArray, but .* epochs that they were made of", fit(lambda s: s.X.average())),
    ("X is a EpochsSpectrum, but", fit(lambda s: s.X.compute_psd())),
    ("mixes EpochsArray and ndarray", fit(lambda s: [s.X, s.A])),
    ("no EEG channels, only mag; set their types", fit(partial(other, types="mag"))),
    ("no EEG channels, only hbo", fit(partial(other, types="hbo"))),
    ("Complex data not supported.*or its magnitude", fit(lambda s: s.A + 1j)),
    ("Complex data not supported", fit(lambda s: s.X.copy().apply_hilbert())),
    ("masked array, and 1 of its values", fit(lambda s: masked(s.A))),
    ("masked array, and 1 of its values", lambda s: s.of_arrays.predict(masked(s.A))),
    ("masked array, and 40 of", lambda s: s.of_arrays.predict([masked(one) for one in s.A])),
    ("type <U32, but a signal is of numbers", fit(lambda s: s.A.astype(str))),
    ("type datetime64", fit(lambda s: s.A.astype("M8[s]"))),
    ("no number .*'x'", fit(lambda s: np.full((40, 6, 80), "x", dtype=object))),
    ("no number .*'(left|right)'", fit(lambda s: s.X.to_data_frame())),
    ("columns have the same name", fit(lambda s: pd.DataFrame(s.A[:, 0], columns=["a"] * 80))),
    ("cannot become an array of NumPy", fit(lambda s: torch.zeros(40, 6, 80, device="meta"))),
    ("cannot become an array of NumPy", fit(lambda s: torch.ones(40, 6, 80).to_sparse())),
    (r"shape \(1, 40, 6, 80\), but epochs are \(n_epochs, n_chans", fit(lambda s: s.A[None])),
    ("Expected 2D array, got 1D array", fit(lambda s: s.A[0, 0])),
    (r"X is empty: its shape .* is \(0, 6, 80\)", lambda s: s.clf.predict(s.X[:0])),
    ("elements have different shapes", fit(lambda s: [s.A[0], s.A[1, :2]])),
    ("NaN in 40 of 40 epochs; the first is epoch 0, channel F3", fit(lambda s: changed(s, np.nan))),
    ("only the label '(left|right)'.*at least two", lambda s: make().fit(s.X[:1], s.y[:1])),
    ("y has labels of type int and str", fit(y=[1, "a"] * 20)),
    ("y has labels of type NoneType and str", fit(y=["a", None] * 20)),
    ("y has labels of type float and str", fit(y=["a", np.nan] * 20)),
    ("contains NaN", fit(y=np.array([1, np.nan] * 20))),
    ("masked entries", fit(y=masked([0, 1] * 20))),
    ("Unknown label type", fit(y=np.linspace(0, 1, 40))),
    (r"got a ndarray of shape \(40, 2\)", fit(y=np.eye(2)[[0, 1] * 20])),
    (r"got a str of shape \(\)", fit(y="left")),
    (r"got a dict of shape \(\)", fit(y={0: "left"})),
    ("X has 40 epochs, y has 3 labels", fit(y=[0, 1, 0])),
    ("requires y to be passed", lambda s: make().fit(s.X, None)),
    ("groups has 2 entries", fit(groups=[1, 2], adapt=True)),
    ("groups has labels of type int and str", fit(groups=[1, "a"] * 20, adapt=True)),
    ("groups should be a 1d array .* got a str", fit(groups="subject", adapt=True)),
    ("missing .* for 1 of 40 epochs", fit(groups=np.r_[np.nan, np.ones(39)], adapt=True)),
    ("missing .* for 1 of 40 epochs", fit(groups=["nan"] + ["s1", "s2", "s3"] * 13, adapt=True)),
    ("groups has labels of type datetime64", fit(groups=np.arange(40).astype("M8[s]"), adapt=True)),
    ("Subject 0 has a single epoch", fit(groups=np.arange(40), adapt=True)),
    ("Subject '1' is not known, but 1", lambda s: s.adapted.predict(s.X, s.g.astype(str))),
    ("single epoch of the unknown subject 99", lambda s: s.adapted.predict(s.X[:1], [99])),
    (r"Each of l_freq.* at least 0\.00\d+ Hz for a signal of .* but there is 1e-09 Hz",
     lambda s: BandPassFilter(1e-9).fit(s.X)),
    ("sfreq has to be at least", lambda s: Resampler(1e-9).fit(s.X)),
    ("over 1000 times the 160 Hz of X", lambda s: Resampler(1e9).fit(s.X)),
    ("Each of l_freq", lambda s: load_eegmmi("fist-imagination", [1], l_freq=1e-9)),
    ("batch_size=0 has to be a whole number",
     lambda s: make().fit(s.X, s.y).set_params(batch_size=0).fine_tune(s.X, s.y)),
    ("sample_weight has 39 entries, but X has 40 epochs", fit(sample_weight=np.ones(39))),
    ("sample_weight has to hold finite numbers", fit(sample_weight=np.r_[-1, np.ones(39)])),
    ("sample_weight has to hold finite numbers", fit(sample_weight=["1"] * 40)),
    ("y has only the label 'right'", fit(sample_weight=lambda s: s.y == "right")),
    ("sample_weight has masked entries", fit(sample_weight=np.ma.masked_less(np.arange(40.0), 2))),
    ("sample_weight has masked entries", lambda s: s.clf.score(
        s.X, s.y, sample_weight=np.ma.masked_less(np.arange(40.0), 2))),
    ("one is in volts.* data of Epochs are volts", lambda s: s.clf.predict(changed(s, 1e6))),
    ("one is in volts", lambda s: s.of_arrays.predict(1e-6 * s.A)),
    ("at 80 Hz, but .* fitted at 160 Hz", lambda s: s.clf.predict(s.X.copy().decimate(2))),
    ("missing: C3", lambda s: s.clf.predict(s.X.copy().drop_channels(["C3"]))),
    ("missing: F3, .*extra: f3", lambda s: s.clf.predict(s.X.copy().rename_channels(str.lower))),
    ("X has 80 channels", lambda s: s.of_arrays.predict(s.A.transpose(0, 2, 1))),
    (r"shape \(40, 80\), but .* 6 channels", lambda s: s.clf.predict(s.A[:, 0])),
    (r"X is empty.* is \(0, 6, 80\)", lambda s: s.clf.predict([s.X[:0], s.X[:0]])),
    ("X is empty: it has no epochs", lambda s: load_memmap(s.export)[0][[]].to_epochs()),
    ("different types: C3 is eeg and eog",
     fit(lambda s: [s.X[:20], s.X[20:].set_channel_types({"C3": "eog"})])),
    ("160 Hz, then .* at 160.01 Hz", fit(lambda s: [s.X[:20], other(s, rate=160.01, names=NAMES)])),
    (r"in another order \(epochs.reorder_channels\)",
     fit(lambda s: [s.X[:20], s.X[20:].reorder_channels(NAMES[::-1])])),
    ("y has entries of different lengths", fit(y=["a", ("b", 1)] * 20)),
    ("adapt=True was set after fit",
     lambda s: make(mirror=None).fit(s.X, s.y).set_params(adapt=True).predict(s.X)),
    ("adapt=False was set after fit",
     lambda s: make(adapt=True).fit(s.X, s.y).set_params(adapt=False).predict(s.X)),
    *(("is not known, but .* is: give subjects the same names",
       lambda s, step=step, first=first, then=then: step(s, [f"{first}{i}" for i in s.g],
                                                         [f"{then}{i}" for i in s.g]))
      for first, then in (("s", "S0"), ("", "0"), ("\xe9", " e\u0301"), ("a_", "a-"))
      for step in (adapted, aligned)),
    ("By their positions, C4, C3 are elsewhere", lambda s: make(positions="electrode")
     .fit(s.X, s.y).predict(swapped(s))),
    ("39 samples an epoch|41 samples", lambda s: s.clf.predict(s.X.copy().crop(0, 0.25))),
    ("signal of subject 1 is zero", lambda s: EuclideanAlignment().fit(0 * s.A, groups=s.g)),
]  # fmt: skip

PARAMETERS = [
    ("max_epochs=0 has to be a whole number of at least 1", fit(max_epochs=0)),
    ("max_epochs='all' has to be a whole number .*, or 'auto'", fit(max_epochs="all")),
    ("batch_size=2.5 has to be a whole number", fit(batch_size=2.5)),
    ("drop_prob=1.0 has to be a number of at least 0 and below 1", fit(drop_prob=1.0)),
    ("n_heads=True has to be a whole number", fit(n_heads=True)),
    ("n_groups=0 has to be a whole number of at least 1", fit(n_groups=0)),
    ("n_filters=1.0 has to be a whole number", fit(n_filters=1.0)),
    ("weight_decay=-1 has to be a number of at least 0", fit(weight_decay=-1)),
    ("lr=nan has to be a number of at least 0", fit(lr=np.nan)),
    ("lr='1e-3' has to be a number", fit(lr="1e-3")),
    ("sfreq='160' has to be a number", fit(sfreq="160")),
    ("sampled at 160 Hz, but .* told 250 Hz", fit(sfreq=250.0)),
    ("The training diverged: its loss is nan. Lower lr", fit(lr=1e6, max_epochs=20)),
    ("The training diverged: its loss is .* look for extreme values in X",
     lambda s: make(mirror=None).fit(changed(s, 1e22, [3]), s.y)),
    ("verbose=None has to be a whole number", fit(verbose=None)),
    ("early_stopping='yes' is not True or False", fit(early_stopping="yes")),
    ("cannot hold out validation_fraction=0", fit(early_stopping=True, validation_fraction=0.0)),
    (r"callbacks=\[5\] is not a list of skorch callbacks", fit(callbacks=[5])),
    ("EarlyStopping watches valid_loss, .*early_stopping=True", fit(callbacks=[EarlyStopping()])),
    ("Checkpoint watches valid_loss_best, .*'train_loss_best'", fit(callbacks=[Checkpoint()])),
    ("InputShapeSetter is not needed", fit(callbacks=[InputShapeSetter])),
    ("a callback has frozen all of them", fit(callbacks=[Freezer("*")])),
    ("device='meta' is not available", fit(device="meta")),
    ("class_weight=.* numbers of at least 0", fit(class_weight={"left": -1, "right": 1})),
    ("class_weight=.* finite numbers", fit(class_weight={"left": np.nan, "right": 1})),
    ("'right'.* not in class_weight", fit(class_weight={"left": 1, "up": 2})),
    ("cannot be used to seed", fit(random_state="a")),
    ("positions='head' is not one of 'channel', 'electrode'", fit(positions="head")),
    (r"mirror names the class 'up', but there are \['left', 'right'", fit(mirror={"left": "up"})),
    ("gives a class two partners", fit(mirror={"left": "right", "right": "right"})),
    ("mirror='both' is not 'auto' or a dict", fit(mirror="both")),
    ("mirror=True is not 'auto' or a dict", fit(mirror=True)),
    ("adapt=1 is not True or False", fit(adapt=1)),
    ("crop=0 has to be a whole number of at least 1, or None", original(crop=0)),
    ("crop=81 has to lie between 1 and the number of samples, 80", original(crop=81)),
    ("noise=-1.0 has to be a number of at least 0", original(noise=-1.0)),
    ("token_drop_prob=1.0 has to be a number", original(token_drop_prob=1.0)),
    ("n_layers=0 has to be a whole number of at least 1", original(n_layers=0)),
    ("shuffle_tokens='both' is not one of 'none', 'channels'", original(shuffle_tokens="both")),
    ("warmup_steps=0.5 has to be a whole number", original(warmup_steps=0.5)),
    ("lr_decay=-1 has to be a number of at least 0", original(lr_decay=-1)),
    ("module=None is no network", network(None)),
    ("module='EEGNet' is no network", network("EEGNet")),
    ("(?s)module=LogPower.* is no network", network(LogPower(6, 2))),
    ("module_params=.* is no dict", network(LogPower, [1])),
    ("LogPower cannot be made with .*'foo'", network(LogPower, {"foo": 1})),
    ("Answers gives a dict for an epoch", network(Answers)),
    ("Plain has no parameters", network(Plain)),
    (r"LogPower gives \(1, 5\) for an epoch, but has to", network(LogPower, {"n_outputs": 5})),
    ("LogPower cannot be made for epochs of 80 samples and 6", network(LogPower, {"n_chans": 9})),
    ("no parameter of 'csp.lda'", lambda s: make_baseline("csp+lda", foo=1)),
    ("width is no parameter of 'eegnet'", lambda s: make_baseline("eegnet", width=2)),
    ("name='cps' is not one of 'chance'", lambda s: make_baseline("cps")),
    ("network='resnet' is not one of", lambda s: BraindecodeClassifier("resnet").fit(s.X, s.y)),
    ("flat in every channel", lambda s: make_baseline("csp+lda").fit(0 * s.A, s.y)),
    ("flat in every channel", lambda s: make_baseline("mdm").fit(0 * s.A + 1, s.y)),
    ("Epochs of one sample", lambda s: make_baseline("ts+lr").fit(s.A[..., :1], s.y)),
    *((words, lambda s, y=y, name=name: make_baseline(name).fit(s.X, y))
      for name in ("csp+lda", "fbcsp", "mdm", "xdawn+ts+lr", "bandpower+lda")
      for words, y in (("of type int and str", [1, "a"] * 20), ("masked", masked([0, 1] * 20)),
                       ("only the label", ["a"] * 40))),
    ("n_selected=-1", lambda s: make_baseline("fbcsp", sfreq=160)[0].set_params(n_selected=-1)
     .fit(s.A, s.y)),
    *((r"1 of 40 epochs \(from 0 on: 3\) are flat in every channel.* drop them",
       lambda s, name=name: make_baseline(name).fit(changed(s, 0, [3]), s.y))
      for name in ("csp+lda", "ts+lr", "mdm", "fbcsp")),
    ("Epochs of 8 samples at 160 Hz are too short",
     lambda s: make_baseline("bandpower+lda", sfreq=160.0).fit(s.A[..., :8], s.y)),
]  # fmt: skip

STEPS = [
    (r"l_freq \(30 Hz\) has to be below h_freq \(8 Hz\)", BandPassFilter(30, 8)),
    ("h_freq is 80 Hz, but a signal sampled at 160 Hz only", BandPassFilter(h_freq=80)),
    ("l_freq=0 has to be .* None means no lower limit", BandPassFilter(0)),
    ("h_freq=nan has to be", BandPassFilter(h_freq=np.nan)),
    ("method='fft' is not one of 'iir', 'fir'", BandPassFilter(h_freq=30, method="fft")),
    ("79 Hz, whose stop band from 77 to 81 Hz does not lie", NotchFilter([50, 79])),
    ("1 Hz, whose stop band from -1 to 3 Hz", NotchFilter(1)),
    ("width=0 has to be", NotchFilter(50, width=0)),
    ("freqs='line' has to be", NotchFilter("line")),
    ("sfreq=0 has to be .* None means no change", Resampler(0)),
    ("ch_names has T9, but X has no such channel; it has F3", ChannelDropper(["T9", "Cz"])),
    ("ch_names has channels that occur twice: Cz", ChannelPicker(["Cz", "Cz"])),
    ("ch_names is empty, and no signal would be left", ChannelPicker([])),
    ("ch_names has all 6 channels of X", ChannelDropper(NAMES)),
    ("has 99, but has to be a list of channel names", ChannelDropper([99])),
    ("has 1.5, but has to be a list of channel names", ChannelDropper([1.5])),
    ("shrinkage is 3, but", EuclideanAlignment(shrinkage=3)),
]
STEPS = [(words, lambda s, step=step: step.fit_transform(s.X)) for words, step in STEPS]
STEPS += [
    (f"give {type(step).__name__} {name}, .* or pass Epochs", lambda s, step=step: step.fit(s.A))
    for step, name in (
        (BandPassFilter(None, 30), "sfreq"), (NotchFilter(50), "sfreq"),
        (Resampler(80), "input_sfreq"), (ChannelDropper(["Cz"]), "input_ch_names"),
        (ChannelPicker(["Cz"]), "input_ch_names"))
]  # fmt: skip


def leading_nowhere(s):
    """Make a link whose file is not there, as git-annex does."""
    (path := s.folder / "link.safetensors").unlink(missing_ok=True)
    path.symlink_to(s.folder / "nowhere.safetensors")
    return path


def few_fields(s):
    write_file(path := s.folder / "few.safetensors", "explanation", {"values": 1}, {})
    return path


def signed(change):
    """Make a step that loads a model that was changed, with the checksum of what it is now."""

    def step(s):
        arrays = load_file(s.model)
        header = json.loads(safe_open(s.model, "np").metadata()["skeegformer"])
        change(header["model"]["attributes"], arrays)
        del header["checksum"]
        header["checksum"] = checksum(arrays, header)
        path = s.folder / "signed.safetensors"
        save_file(arrays, path, {"skeegformer": json.dumps(header)})
        return load_model(path)

    return step


def holding_nan(attributes, arrays):
    arrays["network.class_bias"] *= np.float32(np.nan)


UNLIKE = "channels, samples or classes are not those of its network"
SIGNED = [
    ("weights are not all finite", holding_nan),
    (UNLIKE, lambda attributes, _: attributes.update(n_chans_=7)),
    (UNLIKE, lambda attributes, _: attributes.update(ch_names_=["C3"])),
    (UNLIKE, lambda attributes, _: attributes.update(n_times_=81)),
    (UNLIKE, lambda attributes, _: attributes["classes_"].update(shape=[1], texts=["a"])),
    (UNLIKE, lambda attributes, _: attributes.update(ch_names_=["a"] * 6)),
]
FILES = [
    ("X has 40 epochs, but y has shape", write(y=["a"] * 23)),
    ("metadata has 1 rows", write(metadata=pd.DataFrame({"subject": [1]}))),
    ("several columns 'a'", write(metadata=pd.DataFrame(np.ones((40, 2)), columns=["a", "a"]))),
    ("metadata is a ndarray, but has to be a DataFrame", write(metadata=np.ones(40))),
    ("X has shape .* but epochs are", write(X=np.zeros((40, 3)))),
    ("3 channels, but ch_names 1", write(X=np.zeros((40, 3, 8)), ch_names=["C3"])),
    ("no epochs to write", write(X=np.zeros((0, 3, 8)), y=[])),
    ("masked array", write(X=lambda s: masked(s.A))),
    ("X is a RawArray, but write_memmap", write(X=lambda s: s.raw)),
    *(("made of letters", write(name=name)) for name in ("", "a/b", "..\\c", None)),
    ("could not be written", write(folder=lambda s: s.model)),
    ("could not be written to /proc/x|made", write(folder="/proc/x")),
    ("is there already", write(folder=lambda s: s.export.parent, name="a")),
    ("Unknown task 'sleep'", lambda s: export_memmap("sleep", s.folder / "new")),
    ("shorter than a sample", lambda s: export_memmap(EYES, s.folder / "new", 1, window=0.001)),
    ("h_freq=0 has to be", lambda s: export_memmap(EYES, s.folder / "new", 1, h_freq=0)),
    ("h_freq is 90 Hz, but", lambda s: export_memmap(EYES, s.folder / "new", 1, h_freq=90)),
    ("no header of an export, or is damaged", header(shape=[40, 80])),
    ("no header of an export, or is damaged", header(shape="abc")),
    ("no header of an export, or is damaged", header(shape=[40, -80, -6])),
    ("no header of an export, or is damaged", header(shape=[40.5, "80", 6])),
    ("no header of an export, or is damaged", header(shape=[40, 28672, 80421421917331])),
    ("no header of an export, or is damaged", header(label_types={"subject": "string[pyarrow]"})),
    ("shape=.* at least 1", lambda s: MappedEpochs(s.export, (40, -80, -6))),
    *(("no header of an export, or is damaged", header(**{k: [3]})) for k in KEYS),
    ("no header of an export, or is damaged", header(channels={"ch_names": ["a"]})),
    ("no header of an export, or is damaged", header(channels={"ch_names": ["a"] * 6})),
    ("no header of an export, or is damaged",
     header(channels={"ch_names": NAMES, "sfreq": 160.0, "positions": None})),
    ("no explanation that could be used: .*'values'", lambda s: Explanation.load(few_fields(s))),
    ("no header of an export, or is damaged",
     header(channels={"ch_names": NAMES, "sfreq": 160.0, "positions": [[0]]})),
    ("no header of an export, or is damaged", header(tmin=float("nan"))),
    ("not of the types that the header tells", header(label_types={"condition": "float64"})),
    ("has format 99, .* reads up to 1", header(version=99)),
    ("is no file of values", lambda s: load_memmap(s.model)),
    (r"shape=\(1, 2\) is not", lambda s: MappedEpochs(s.export, (1, 2))),
    ("exists already", lambda s: save_model(s.clf, s.model)),
    ("exists already", lambda s: save_model(s.clf, leading_nowhere(s))),
    *(("cannot be made into the model.*" + words, signed(change)) for words, change in SIGNED),
    ("does not end in .safetensors", lambda s: save_model(s.clf, s.folder / "model.pt")),
    ("is a folder|does not end", lambda s: save_model(s.clf, s.folder)),
    ("There is no folder", lambda s: save_model(s.clf, s.folder / "no" / "a.safetensors")),
    ("There is no file", lambda s: load_model("~/nowhere.safetensors")),
    ("is a folder", lambda s: load_model(s.folder)),
    ("incomplete", lambda s: load_model(text_in(s, "c.safetensors", s.model.read_bytes()[:-99]))),
    ("no file of safetensors", lambda s: load_model(text_in(s, "a.safetensors", "a,b"))),
    ("it holds a explanation|it holds an explanation", lambda s: load_model(s.saved)),
    ("no checkpoint of PyTorch", lambda s: load_model(text_in(s, "a.ckpt", "PK"))),
    ("has to hold the classes", lambda s: load_model(s.model, modules=["LogPower"])),
    ("it holds a model, for load_model", lambda s: Explanation.load(s.model)),
    ("does not end in .onnx", lambda s: export_network(s.clf, s.folder / "a.txt")),
    ("there is a NoneType", lambda s: export_network(None, s.folder / "a.onnx")),
    ("holds a model", lambda s: make(callbacks=[ResumableTraining(s.model)]).fit(s.X, s.y)),
    ("duration=0.001 s is shorter", simulate(duration=0.001)),
    ("'C99'", simulate(sources={"a": "C3", "b": "C99"})),
    ("two or more", simulate(sources={"a": "C3"})),
    ("not a dict of class to electrodes", simulate(sources=["C3", "C4"])),
    ("n_epochs=1 ", simulate(n_epochs=1)),
    ("snr=-1", simulate(snr=-1)),
    ("snr='3'", simulate(snr="3")),
    ("case='hard' is not one of 'plain'", simulate(case="hard")),
    ("ends before evoked potentials", simulate(case="phase-locked", duration=0.4)),
    ("too low for a rhythm of 20 Hz", simulate(case="bands", sfreq=48.0)),
    ("has sources of its own", simulate(case="bands", sources={"a": "C3", "b": "C4"})),
    ("too low for line noise of 50", simulate(case="line-noise", sfreq=100.0)),
    *(("but sources names none", simulate(case=case, sources={"a": [], "b": []}))
      for case in ("redundant", "suppressor")),
    ("replaces 12 electrodes, but", simulate(case="suppressor", sources={"a": CH_NAMES, "b": []})),
]  # fmt: skip

REQUESTS = [
    ("fist_feet-imagination, or 'all'", eegmmi("eyes")),
    ("'feet'; .* fist_feet-imagination, or 'all'", eegmmi([EYES, "feet"])),
    ("No task was given; .* or 'all'", eegmmi([])),
    ("Unknown task 'all'", eegmmi(["all", "fist-motion"])),
    ("Unknown task 3", eegmmi([3])),
    ("Subject 0 does not exist", eegmmi(subjects=0)),
    ("No subject", eegmmi(subjects=[])),
    ("'S001' does not exist", eegmmi(subjects="S001")),
    ("True does not exist", eegmmi(subjects=True)),
    ("tmax=1.0 s is not after tmin=1.0 s", eegmmi("fist-motion", tmin=1.0, tmax=1.0)),
    ("window=0 s", eegmmi(window=0)),
    ("tmax=inf is not a number of seconds", eegmmi(tmax=np.inf)),
    ("before the recording", eegmmi(tmin=-1.0)),
    ("equally long", eegmmi("all", tmax=3.0)),
    ("resample=0 has to be .* None means no change", eegmmi(resample=0)),
    ("tasks=.* needs at least one", benchmark(tasks=[])),
    ("seeds=.* each of them once", benchmark(seeds=(0, 0))),
    ("information='psychic' is not one of 'strict'", benchmark(information="psychic")),
    ("no pipelines for information 'transductive'", benchmark(information="transductive")),
    ("n_jobs=0 does no work", benchmark(n_jobs=0)),
    ("n_heads=3 does not divide embed_dim=16", original(n_heads=3, embed_dim=16)),
    ("80 samples cannot be cut into n_time_tokens=200", original(n_time_tokens=200)),
    ("and 50 samples cannot be cut into n_time_tokens=60", original(n_time_tokens=60, crop=50)),
]

ONE_PLACE = mne.create_info(NAMES, 160.0, "eeg").set_montage(
    mne.channels.make_dig_montage(dict.fromkeys(NAMES, (0.0, 0.0, 0.1))))  # fmt: skip
SCORES = pd.DataFrame({"pipeline": "a", "subject": [1, np.nan], "balanced_accuracy": 0.5})
COMPARED = partial(ask, "compare", "left", "right")
EXPLANATIONS = [
    ("subjects are not known: pass groups", ask("subject_means", change={"subjects": None})),
    ("NaN or infinite", ask("subject_means", change={"token_values": np.full((40, 6, 1), np.nan)})),
    ("by='subject' is not one of", ask("subject_means", by="subject")),
    ("inconsistent numbers of samples", ask("subject_means", by=[1, 2])),
    ("at least 3, but the values are of 2", ask(
        "confidence_intervals", change={"subjects": np.repeat([1, 2], 20)})),
    ("level=95 is not between 0 and 1", ask("confidence_intervals", level=95)),
    ("b='up' is not one of 'left', 'right'", ask("compare", "left", "up")),
    ("a and b are both 'left'", ask("compare", "left", "left")),
    ("alpha=5 is not between 0 and 1", COMPARED(alpha=5)),
    ("n_permutations=10 is not a whole number of at least 20", COMPARED(n_permutations=10)),
    ("is not an absolute t above 0", COMPARED(threshold="tfce")),
    (r"adjacency has shape \(3, 3\).*\(6, 6\)", COMPARED(adjacency=np.eye(3))),
    ("needs electrode positions", COMPARED(change={"info": None})),
    ("neighbours of 2 channels cannot be",
     COMPARED(change={"info": lambda s: mne.pick_info(s.info, [0, 1])})),
    ("of the type ecog: pick the EEG channels", COMPARED(change={
        "info": lambda s: s.info.copy().set_channel_types(dict.fromkeys(NAMES, "ecog"))})),
    ("does not know its model", ask("evaluate", change={"source": None})),
    ("has only one epoch", lambda s: s.explanation.select([0]).evaluate()),
    ("truth contains NaN", ask("evaluate", truth=masked(np.arange(6.0)))),
    ("not compatible with arrays of bytes/strings", ask("evaluate", truth=list("abcdef"))),
    (r"truth has shape \(3,\), but there are 6 channels", ask("evaluate", truth=[1, 0, 0])),
    ("n_repeats=0 is not a whole number of at least 1", ask("evaluate", n_repeats=0)),
    ("by='class' gives: left, right", ask("plot_topomap", difference=("left", "up"))),
    ("compares 'left' with itself", ask("plot_topomap", difference=("left", "left"))),
    ("pass groups to explain", ask("plot_topomap", by="subject", change={"subjects": None})),
    ("lower and a higher limit", ask("plot_topomap", vlim=(1, 1))),
    ("names='C3' is not a whole number", ask("plot_topomap", names="C3")),
    ("ax=3 is no flat matplotlib.axes.Axes", ask("plot_topomap", ax=3)),
    (r"shape \(3, 3\), but 6 channels need", lambda s: ConnectionDisplay(np.eye(3), s.info)),
]  # fmt: skip

STOCHASTIC = np.full((3, 2, 1, 4, 4), 0.25)
ANALYSES = [
    ("method='magic' is not one of 'rollout'", explain(method="magic")),
    ("is no dict of names and", explain(method="occlusion", parts="band", bands=["alpha"])),
    ("band 'x' is", explain(method="occlusion", parts="band", bands={"x": (40, 90)})),
    ("head_fusion='median' is not one of", explain(head_fusion="median")),
    ("target='up' is not one of 'predicted'", explain(method="gradient-rollout", target="up")),
    ("'rollout' cannot tell bands apart; .*occlusion", explain(parts="band")),
    ("of attention: take method='rollout", explain(method="gradient-rollout", connections=True)),
    ("target='true' needs the true labels",
     lambda s: AttentionExplainer("occlusion", target="true").explain(s.clf, s.X)),
    ("replacement='noise' is not one of", explain(method="occlusion", replacement="noise")),
    ("A EEGTransformer cannot be explained", lambda s: explain(
        estimator=s.clf.net_.module_)(s)),
    ("A LinearDisc.* channel_permutation_importance takes any", lambda s: explain(
        estimator=make_baseline("csp+lda").fit(s.X, s.y))(s)),
    ("info is a str", lambda s: AttentionExplainer().explain(s.clf, s.X, info="C3")),
    ("groups has 2 entries", lambda s: AttentionExplainer().explain(s.clf, s.X, groups=[1, 2])),
    ("output='all' is not one of 'tokens'", lambda s: attention_rollout(STOCHASTIC, output="all")),
    ("attn is no attention", lambda s: attention_rollout([[1.0], [1.0, 2.0]])),
    ("attn has values that are NaN.* or masked", lambda s: attention_rollout(masked(STOCHASTIC))),
    (r"\(4, 4\), but has to be \(batch, n", lambda s: attention_rollout(STOCHASTIC[0, 0, 0])),
    ("no network", lambda s: record_attention(object()).__enter__()),
    ("no attention layers", lambda s: record_attention(torch.nn.Linear(2, 2)).__enter__()),
    ("'occlusion' knows no connections", explain(method="occlusion", connections=True)),
    ("y .*NoneType", explain(y=[None] * 40)),
    ("there is only one", explain(lambda s: s.X[:1], ["left"], method="occlusion")),
    ("'true' is the name of a class", lambda s: AttentionExplainer(
        "gradient-rollout", target="true").explain(
        make().fit(s.X, named := np.where(s.y == "left", "true", "false")), s.X, named)),
    ("channels of the type seeg", lambda s: AttentionExplainer(
        "occlusion", replacement="interpolate").explain(
        make(mirror=None).fit(inside := s.X.copy().set_channel_types(dict.fromkeys(NAMES, "seeg")),
                              s.y), inside, s.y)),
    ("need.* electrode positions", lambda s: AttentionExplainer(
        "occlusion", neighbors=True).explain(s.of_arrays, s.A, s.y)),
    ("3 electrodes are too few", lambda s: AttentionExplainer(
        "occlusion", replacement="interpolate").explain(
        make(mirror=None).fit(few := s.X.copy().pick(NAMES[:3]), s.y), few, s.y)),
    ("masked array", lambda s: channel_permutation_importance(s.of_arrays, masked(s.A), s.y)),
    ("masked entries", score(y=masked([0, 1] * 20))),
    ("1 that are NaN", lambda s: TopomapDisplay(masked(np.ones(6)), s.info).plot()),
    ("none where another one is", COMPARED(change={"info": ONE_PLACE})),
    ("label='up' is not one of", lambda s: s.explanation.select(label="up")),
    ("subject=99 is not one of 1, 2, 3, 4", lambda s: s.explanation.select(subject=99)),
    *((f"{name} has masked entries", step) for name, step in (
        ("y", explain(y=masked([0, 1] * 20))), ("by", ask("subject_means", masked([0, 1] * 20))))),
    *((words, lambda s, make=make: s.explanation.plot_topomap(ax=make())) for words, make in (
        ("is no flat matplotlib", lambda: [plt.figure().add_subplot(projection="polar")] * 2),
        ("2 panels, but 1 axes", lambda: [plt.figure().add_subplot()] * 2))),
    *((r"vlim=\(.* has to be", ask("plot_topomap", vlim=one)) for one in ((0, np.inf), (None, 1))),
    ("faithfulness='x' is no", ask("to_report", faithfulness="x")),
    *((f"min_confidence={one!r} is not a prob", lambda s, one=one: s.explanation.select(
        min_confidence=one)) for one in (2, "2")),
    ("No epoch of 40 is left: the hi", lambda s: s.explanation.select(min_confidence=1.0)),
    ("classes of the explanation does not fit", lambda s: replace(s.explanation, classes=["a"])),
    ("made with different replacement, 'mean' and 'swap'", joined(
        settings={"replacement": "mean"})),
    ("groups has labels of type int and str", joined(subjects=np.array(["1"] * 40))),
    ("without the column 'subject'", score(groups=pd.DataFrame({"who": np.ones(40)}))),
    ("each of them once", score(seeds=(0, 0))),
    (r"cv=\[\] has no splits", score(cv=[])),
    (r"shape \(3,\), but 6 channels", lambda s: TopomapDisplay(np.ones(3), s.info).plot()),
    ("of real numbers", lambda s: TopomapDisplay(list("abcdef"), s.info).plot()),
    ("top=-1 is not", lambda s: ConnectionDisplay(np.eye(6), s.info).plot(top=-1)),
    *(("lack the columns", lambda s, one=one: plot_scores(one)) for one in (None, pd.DataFrame())),
    *(("(some|rows) without a pipeline or a subject", lambda s, use=use: use(SCORES))
      for use in (plot_scores, summarize_scores)),
    ("at least one", score({})),
    ("which cannot predict", score({"a": EEGTransformerClassifier})),
    ("(?s)Grid.* which cannot predict", score({"a": GridSearchCV(make(), {}, refit=False)})),
    (r"1d array .*, got a ndarray of shape \(40, 2\)", score(y=np.ones((40, 2)))),
    *(("groups has 'S1' and 's1': spell each", step) for step in (
        score(groups=SPELT), fit(groups=SPELT, adapt=True), lambda s: concatenate_explanations(
            [replace(s.explanation, subjects=np.repeat(name, 40)) for name in ("s1", "S1")]))),
    ("varies between epochs, but there is", lambda s: s.explanation.select([0]).patterns()),
    ("info is a EpochsArray, not a mne.Info", lambda s: mirror_pairs(s.X)),
    *(("info is a DigMontage, not a mne.Info", lambda s, use=use: use(s, s.info.get_montage()))
      for use in (lambda s, info: mirror_pairs(info),
                  lambda s, info: TopomapDisplay(np.ones(6), info).plot(),
                  lambda s, info: AttentionExplainer().explain(s.clf, s.X, info=info))),
    ("groups=None", lambda s: cross_subject_scores({"a": s.clf}, s.X, s.y, None)),
    ("groups has 1 entries", score(groups=[1])),
    ("at least 2 of them", score(groups=np.ones(40))),
    ("cv=5: .* as many subjects as folds, but there are 4", score(cv=5)),
    ("on both sides", score(cv=[(np.arange(5), np.arange(5, 9))])),
    ("load has to be a function", lambda s: run_benchmark({"strict": {"a": s.clf}}, 3, ["x"])),
    ("needs subjects to train on", lambda s: next(FixedSplit([], [2]).split(s.g, groups=s.g))),
    ("S2 are to be trained on and tested", lambda s: cross_val_score(
        s.clf, s.X, s.y, groups=s.g, cv=FixedSplit([1, 2], [2, 3]), error_score="raise")),
    ("step=0 has to be a number above 0", stream(step=0)),
    ("'V', 'uV' or None", stream(unit="mV")),
    ("sampled at 80 Hz, but the model", stream(sfreq=80.0)),
    ("adapt=False", stream(subject=3)),
    (r"chunk has shape \(5, 9\)", stream(np.zeros((5, 9)))),
    (r"chunk has shape \(\)", stream(None)),
    ("masked array, and 1 of", stream(masked(np.ones((6, 9))))),
    ("elements have different shapes", stream([[1.0, 2.0]] * 5 + [[1.0]])),
    ("chunk holds complex", stream(np.ones((6, 9)) * 1j)),
    ("NaN or infinity in 6 of 6 channels", stream(np.full((6, 9), np.nan))),
    ("one is in volts", stream(1e-5 * np.random.default_rng(0).standard_normal((6, 400)))),
]  # fmt: skip


@pytest.mark.parametrize(
    "words, step", [*KINDS, *PARAMETERS, *STEPS, *FILES, *REQUESTS, *EXPLANATIONS, *ANALYSES]
)
def test_bad_input_gets_a_sentence_and_writes_nothing(s, words, step):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ValueError, TypeError, OSError), match=words) as caught:
            step(s)
    where = traceback.extract_tb(caught.value.__traceback__)[-1].filename.replace("\\", "/")
    assert "/skeegformer/" in where or "/sklearn/" in where or where == __file__
    assert not (s.folder / "new").exists()


WARNED = [
    ("40 of 40 epochs .*0, 1, 2, 3, 4 and 35 more.* typical epoch of fit", 1000, slice(None)),
    ("40 of 40 epochs", 1e-3, slice(None)),
    ("40 of 40 epochs", 1e12, slice(None)),
    (r"2 of 40 epochs \(from 0 on: 3, 5\) fluctuate by 0 to 0", 0, [3, 5]),
    (r"1 of 40 epochs \(from 0 on: 7\)", 1000, [7]),
]


@pytest.mark.parametrize("words, factor, rows", WARNED)
def test_odd_epochs_are_named(s, words, factor, rows):
    """When they are predicted, and when they are few among those that a classifier is fitted to."""
    X = changed(s, factor, rows)
    with pytest.warns(UserWarning, match=words):
        s.clf.predict(X)
    if isinstance(rows, list):
        with pytest.warns(UserWarning, match=words):
            make().fit(X, s.y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s.clf.predict(changed(s, 20))  # another amplifier, or a loud person


@pytest.mark.parametrize("factor", [1000, 0])
def test_odd_channels_are_named(s, factor):
    data = s.X.get_data(units="V")
    data[:, 1] *= factor
    X = mne.EpochsArray(data, s.X.info, metadata=s.X.metadata)
    with pytest.warns(UserWarning, match=rf"1 of .* channels \({s.X.ch_names[1]}\) fluctuate by"):
        s.clf.predict(X)


def test_odd_streams_are_told(s):
    signal = np.hstack(s.X.get_data()[:4])
    for factor in (0, 1e3, 1e-3, 1e9):
        with pytest.warns(UserWarning, match="flat, artefacts, or in another unit"):
            StreamPredictor(s.clf).push(signal * factor)
    predictor = StreamPredictor(s.clf, unit="V")
    with pytest.warns(UserWarning, match="flat"):
        predictor.push(signal * 0)  # as amplifiers begin; they tell nothing of the unit
    with pytest.raises(ValueError, match="one is in volts, the other in microvolts"):
        predictor.push(signal * 1e6)
    predictor = StreamPredictor(s.clf)
    with pytest.warns(UserWarning, match="6 samples of 6 channels: whether .* cannot be seen"):
        predictor.push(signal[:, :6])


def test_what_is_done_without_being_asked_is_said(s, caplog):
    with caplog.at_level("INFO", logger="skeegformer"):
        make().fit(s.X, s.y)
        make().fit(s.X, np.where(s.y == "left", "T1", "T2"))
        noisy = s.X.copy()
        noisy.info["temp"] = {1: "what its owner keeps there"}
        noisy._data[:] = noisy._data.mean(axis=1, keepdims=True) + 0.1 * noisy._data
        noisy._data[:, 1] = s.X._data[::-1, 1]
        make(mirror=None).fit(noisy, s.y).predict(noisy)
    said = [record.message for record in caplog.records]
    assert said[-2] == "No epoch is mirrored."
    assert said[-1] == f"Channels without contact count as louder: {s.X.ch_names[1]}."
    assert "mirrored, and labels become {'left': 'right', 'right': 'left'}" in said[0]
    assert said[1] == "No epoch is mirrored."
    with pytest.warns(UserWarning, match="flat in every epoch, .*nothing to learn from"):
        make(mirror=None).fit(changed(s, 0), s.y)
    volts = list(s.X)  # what FeatureUnion and the like make of Epochs
    with pytest.warns(UserWarning, match="fluctuates by .* in volts.* pass the Epochs themselves"):
        make(sfreq=160.0).fit(volts, s.y)
    for fitted in (make(), VotingClassifier([("a", make())])):
        with pytest.warns(UserWarning, match="labels 0, 1 do not tell left from right"):
            fitted.fit(s.X, (s.y == "left").astype(int))
    with pytest.warns(UserWarning, match="differs between subjects, who have one class each"):
        make(adapt=True).fit(s.X, np.where(s.g < 3, "left", "right"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(mirror=None).fit(s.X, (s.y == "left").astype(int))
    without = s.X.copy().add_proj(mne.compute_proj_epochs(s.X, n_eeg=1)).apply_proj()
    with pytest.warns(UserWarning, match="projection 'eeg-.*' was applied to the epochs of fit"):
        s.clf.predict(without)
    projected = s.X.copy().set_eeg_reference(projection=True)
    fitted = make().fit(projected.copy().apply_proj(), s.y)
    with pytest.warns(UserWarning, match="'Average EEG reference' was applied .*apply_proj"):
        fitted.predict(projected)


def test_epochs_that_were_processed_otherwise_are_told(s, tmp_path):
    average, low = s.X.copy().set_eeg_reference("average"), s.X.copy().filter(None, 30.0)
    both = s.X.copy().set_eeg_reference(projection=True).apply_proj()
    words = {
        "were re-referenced": average,
        "hold 0 to 80 Hz by their info, but others 0 to 30": low,
    }
    with pytest.warns(UserWarning, match="By their positions, C4, C3 are elsewhere on the head"):
        s.clf.predict(swapped(s))
    loaded = load_model(s.model)
    again = load_memmap(write_memmap(low, s.y, None, tmp_path))[0]
    moved = {"is none, but that of others 0 to 0.1 s": s.X.copy().apply_baseline((0, 0.1))}
    for model in (s.clf, loaded, make(positions="electrode").fit(s.X, s.y)):
        for match, other in (words | moved).items():
            with pytest.warns(UserWarning, match=match):
                model.predict(other)
    with pytest.warns(UserWarning, match="0 to 30 Hz"):
        s.clf.predict(again)
    for match, other in words.items():
        with pytest.warns(UserWarning, match=f"of the first element of X .*{match[-9:]}"):
            make().fit([s.X[:20], other[20:]], s.y)
    with pytest.raises(ValueError, match="projections applied that others have not; call apply"):
        make().fit([s.X[:20], both[20:]], s.y)
    with pytest.raises(ValueError, match=r"different baselines, None and \(0.0, 0.1\)"):
        make().fit([s.X[:20], s.X[20:].copy().apply_baseline((0, 0.1))], s.y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = make().fit(average, s.y)
        fitted.predict(both)  # an average reference, too
        fitted.predict(average.copy().filter(0.3, None))
        StreamPredictor(s.clf)
        piped = make_pipeline(BandPassFilter(None, 30.0), make()).fit(s.X, s.y)
        piped.predict(load_memmap(write_memmap(s.X, s.y, None, tmp_path, "same"))[0])
        corrected = s.X.copy().apply_baseline((0, 0.1))
        piped = piped.fit(corrected, s.y)  # an export does not tell its baseline
        piped.predict(load_memmap(write_memmap(corrected, s.y, None, tmp_path, "moved"))[0])
    with pytest.warns(UserWarning, match=r"have another reference .*; a stream is taken as it com"):
        StreamPredictor(fitted)
    with pytest.warns(UserWarning, match="have the projection 'Av.* applied, a baseline cor"):
        StreamPredictor(make().fit(both.apply_baseline((0, 0.1)), s.y))


def test_labels_and_subjects_keep_their_types(s):
    """pandas has its own types of numbers, of which scikit-learn makes floats."""
    y, subjects = pd.array([1, 2] * 20, dtype="Int64"), pd.Series(s.g, dtype="Int64")
    fitted = make(adapt=True, mirror=None).fit(s.X, y, subjects)
    assert fitted.classes_.dtype == np.int64
    assert list(fitted.subject_means_) == [1, 2, 3, 4]
    assert all(type(subject) is int for subject in fitted.subject_means_)
    named = make(adapt=True, mirror=None).fit(s.X, s.y, [f"1{i}" for i in s.g])
    named.predict(s.X, [f"1_{i}" for i in s.g])  # other people than 11, 12, ...
    assert make().fit(s.X, pd.array([True, False] * 20, dtype="boolean")).classes_.dtype == bool
    table = pd.DataFrame({"task": ["a"] * 40, "code": [1, 2] * 20}).to_numpy()
    assert make(mirror=None).fit(s.X, table[:, 1]).classes_.dtype == np.int64
    assert make().fit(s.X, pd.Categorical(s.y)).classes_.tolist() == ["left", "right"]


def test_hash_and_clone(s):
    clf = make(callbacks=[LRScheduler("StepLR", step_size=1)]).fit(s.X, s.y)
    assert joblib.hash(clf) == joblib.hash(clf)
    written = make(callbacks=[TensorBoard(Writer())])
    for estimator in (written, make_pipeline(BandPassFilter(None, 30.0), written)):
        one, same = (clone(estimator).fit(s.X, s.y).predict_proba(s.X) for _ in range(2))
        np.testing.assert_array_equal(one, same)


WRITERS = {
    "model.safetensors": lambda s, path: save_model(s.clf, path, overwrite=True),
    "explanation.safetensors": lambda s, path: s.explanation.save(path, overwrite=True),
    "state.safetensors": lambda s, path: make(callbacks=[ResumableTraining(path)]).fit(s.X, s.y),
    "report.html": lambda s, path: s.explanation.to_report(path, overwrite=True),
    "export": lambda s, path: write_memmap(s.X, s.y, None, path, "a", overwrite=True),
    "folder": lambda s, path: path.mkdir() or write_memmap(s.X, s.y, None, path),
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits of file size")
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_what_was_there(s, name, tmp_path):
    """Files may not grow beyond a limit, which is what a disk without room does to them."""
    import resource

    path = tmp_path / name
    if name == "export":
        shutil.copytree(s.folder / name, path)
    elif name not in ("folder", "state.safetensors"):
        path.write_bytes(b"old")
    before = {one: one.is_file() and one.read_bytes() for one in tmp_path.rglob("*")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ending = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="could not be written.*: File too large"):
            WRITERS[name](s, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ending)
    after = {one: one.is_file() and one.read_bytes() for one in tmp_path.rglob("*")}
    after.pop(path if name == "folder" else None, None)
    assert after == before


def test_what_killed_processes_left_is_removed_a_day_later(s, tmp_path):
    """Not sooner: another process may still be writing there."""
    old = time.time() - 90000
    left, young = tmp_path / ".export-abc", tmp_path / ".export-def"
    for folder in (left, young):
        (folder / "files").mkdir(parents=True)
        (folder / "files" / "raw").touch()
    dead, alive = tmp_path / ".a-00ff00ff.safetensors", tmp_path / ".a-11ff00ff.safetensors"
    dead.touch()
    alive.touch()
    for path in (left / "files" / "raw", left / "files", left, dead):
        os.utime(path, (old, old))
    write_memmap(s.X, s.y, None, tmp_path)
    save_model(s.clf, tmp_path / "a.safetensors")
    assert not left.exists()
    assert not dead.exists()
    assert (young / "files" / "raw").exists()
    assert alive.exists()

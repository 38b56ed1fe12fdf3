"""The classifiers to beat, and the pipelines of the benchmark."""

import importlib.util
import inspect
import pickle

import mne
import numpy as np
import pytest
import sklearn
import torch
from pyriemann.estimation import XdawnCovariances
from pyriemann.tangentspace import TangentSpace
from scipy.signal import welch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

from skeegformer import (
    EEGTransformerClassifier,
    OriginalTransformerClassifier,
    load_eegmmi,
    make_simulated_eeg,
)
from skeegformer.baselines import (
    BASELINES,
    BENCHMARK_PIPELINES,
    INFORMATION,
    benchmark_pipelines,
    make_baseline,
    make_eeg_pipeline,
)
from skeegformer.baselines._band_features import FILTER_BANK, FilterBankCSP, LogBandPower
from skeegformer.baselines.braindecode import FASTER_CHANNELS_LAST, NETWORKS, BraindecodeClassifier
from skeegformer.preprocessing import MirroredClassifier

EVOKED = ("xdawn+ts+lr", "means+lda")
CLASSICAL = ("csp+lda", "ts+lr", "mdm", "bandpower+lda", "fbcsp", "csp+lda+mirror", "ts+lr+mirror")
has_braindecode = pytest.mark.skipif(
    importlib.util.find_spec("braindecode") is None,
    reason="braindecode is not installed: pip install 'skeegformer[braindecode]'",
)


@pytest.fixture(scope="module")
def few_channels(simulated):
    """Pick a dozen channels of the simulated epochs."""
    X, y, metadata, _ = simulated
    names = ["F3", "Fz", "F4", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "Oz", "O2"]
    return X.copy().pick(names), y, metadata["subject"].to_numpy()


@pytest.fixture(scope="module")
def two_bursts():
    """Three channels at 100 Hz; class 1 has 10 Hz in channel 0, class 0 has 22 Hz in channel 2."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 40)
    X = rng.normal(size=(80, 3, 200))
    times, phase = np.arange(200) / 100, rng.uniform(0, 2 * np.pi, (80, 1))
    X[:, 0] += 1.5 * y[:, None] * np.sin(2 * np.pi * 10 * times + phase)
    X[:, 2] += 1.5 * (1 - y[:, None]) * np.sin(2 * np.pi * 22 * times + phase)
    return X, y


@pytest.mark.parametrize("name", CLASSICAL)
def test_they_read_the_simulated_rhythm_across_subjects(few_channels, name):
    X, y, groups = few_channels
    predicted = cross_val_predict(make_baseline(name), X, y, groups=groups, cv=GroupKFold(2))
    assert balanced_accuracy_score(y, predicted) > 0.6


@pytest.mark.parametrize("name", (*CLASSICAL, *EVOKED))
def test_probabilities_of_epochs_and_arrays(few_channels, name):
    X, y, _ = few_channels
    options = {"input_ch_names": X.ch_names} if "mirror" in name else {}
    array = X.get_data(units="uV")
    expected = make_baseline(name).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(expected.sum(axis=1), 1.0)
    with sklearn.config_context(transform_output="pandas"):
        of_array = make_baseline(name, sfreq=X.info["sfreq"], **options).fit(array, y)
        np.testing.assert_allclose(of_array.predict_proba(array), expected, atol=1e-4)


def test_band_power_is_the_mean_of_welchs_spectrum(two_bursts):
    X, _ = two_bursts
    features = LogBandPower(sfreq=100.0).fit_transform(X).reshape(80, 3, 5)
    frequencies, spectrum = welch(X, fs=100.0, nperseg=100, window="hann", detrend="constant")
    for index, (low, high) in enumerate([(1, 4), (4, 8), (8, 13), (13, 20), (20, 30)]):
        inside = (frequencies >= low) & (frequencies < high)
        expected = np.log(spectrum[..., inside].mean(axis=-1))
        np.testing.assert_allclose(features[..., index], expected, rtol=1e-3)


def test_filter_bank_csp_finds_the_bands(two_bursts):
    X, y = two_bursts
    bank = FilterBankCSP(n_components=2, n_selected=2, sfreq=100.0).fit(X, y)
    assert bank.bands_ == [(4.0 * i, 4.0 * i + 4) for i in range(1, 10)]
    chosen = {bank.bands_[index // 2] for index in bank.selected_}
    assert chosen == {(8.0, 12.0), (20.0, 24.0)}
    # The partners, from the other end of the eigenvalues, come along.
    assert sorted(bank.selected_) == [2, 3, 8, 9]
    features = bank.transform(X)
    assert features.shape == (80, 4)
    # The same by MNE alone.
    filtered = mne.filter.filter_data(
        X, 100.0, 8.0, 12.0, method="iir", pad="reflect_limited", verbose="ERROR"
    )
    csp = mne.decoding.CSP(2, component_order="alternate").fit(filtered, y)
    np.testing.assert_allclose(features[:, :2], csp.transform(filtered), atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_filter_bank_csp_of_channels_that_depend_on_each_other(two_bursts, dtype):
    """As after interpolation: two combinations of the others change nothing."""
    X, y = two_bursts
    mixed = np.concatenate([X, X[:, [0]] + X[:, [1]], X.mean(axis=1, keepdims=True)], axis=1)
    mixed = mixed[:, [3, 0, 4, 2, 1]].astype(dtype)
    bank = FilterBankCSP(sfreq=100.0).fit(mixed, y)
    assert bank.basis_.shape == (3, 5)
    alone = FilterBankCSP(sfreq=100.0).fit(X, y)
    assert alone.basis_ is None
    np.testing.assert_array_equal(bank.selected_, alone.selected_)
    np.testing.assert_allclose(bank.transform(mixed), alone.transform(X), rtol=1e-2, atol=1e-2)
    for few in (mixed, mixed[:, :1]):
        assert make_baseline("fbcsp", sfreq=100.0).fit(few, y).score(few, y) > 0.9


@pytest.mark.parametrize("Bands, n_all, n_motor", [(FilterBankCSP, 8, 5), (LogBandPower, 5, 3)])
def test_bands_lie_within_the_pass_band_and_below_half_the_rate(two_bursts, Bands, n_all, n_motor):
    n_bands = {None: n_all, (None, 40.0): n_all, (1.0, 40.0): n_all, (8.0, 30.0): n_motor}
    for pass_band, n in n_bands.items():
        assert len(Bands(pass_band=pass_band, sfreq=80.0).fit(*two_bursts).bands_) == n
    for params, message in (
        ({"pass_band": (9.0, 11.0), "sfreq": 80.0}, "at 80 Hz leaves none of the"),
        ({}, "An array does not tell its sampling rate: give .* sfreq"),
    ):
        with pytest.raises(ValueError, match=message):
            Bands(**params).fit(*two_bursts)
    assert (FILTER_BANK[0], FILTER_BANK[-1]) == ((4.0, 8.0), (36.0, 40.0))


def test_networks_are_trained_as_ours():
    ours = EEGTransformerClassifier().get_params()
    for name in NETWORKS:
        theirs = make_baseline(name).get_params()
        assert theirs.pop("network") == name
        # Attention of ours has logits that move fast, and weights that are decayed by themselves.
        assert (theirs.pop("lr"), theirs.pop("weight_decay")) == (1e-3, 0.05)
        assert theirs == {parameter: ours[parameter] for parameter in theirs}
        assert {"max_epochs", "batch_size", "early_stopping", "class_weight"} <= set(theirs)
    changed = make_baseline("ctnet", random_state=3, lr=0.5)
    assert (changed.random_state, changed.lr) == (3, 0.5)


def test_the_originals_schedule(two_bursts):
    X, y = two_bursts
    classifier = OriginalTransformerClassifier(
        max_epochs=6, warmup_steps=5, lr_decay=0.5, batch_size=40, early_stopping=False
    ).fit(X, y)
    rates = np.ravel(classifier.history_[:, "batches", :, "event_lr"]) / 5e-3
    expected = [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    np.testing.assert_allclose(rates, expected)
    np.testing.assert_array_equal(classifier.net_.criterion_.weight, [1.0, 1.0])


def test_every_parameter_of_the_original_arrives(two_bursts):
    X, y = two_bursts
    params = {"n_time_tokens": 2, "embed_dim": 12, "n_layers": 2, "n_heads": 3, "drop_prob": 0.15}
    params |= {"token_drop_prob": 0.25, "crop": 60, "noise": 0.35, "shuffle_tokens": "temporal"}
    params |= {"weight_decay": 0.45, "batch_size": 30, "max_epochs": 1, "early_stopping": False}
    classifier = OriginalTransformerClassifier(**params).fit(X, y)
    network = classifier.net_.module_
    blocks = network.encoder.encoder_layers
    assert (network.n_time_tokens, network.encoder.in_proj.out_features) == (2, 12)
    assert (len(blocks), blocks[0].mha.n_heads, network.token_length) == (2, 3, 30)
    assert {part.p for part in network.modules() if isinstance(part, torch.nn.Dropout)} == {0.15}
    assert (network.token_drop_prob, network.noise) == (0.25, 0.35)
    assert network.shuffle_tokens == "temporal"
    assert classifier.net_.optimizer_.param_groups[0]["weight_decay"] == 0.45
    assert len(classifier.history_[0, "batches"]) == 3


@pytest.mark.skipif(
    importlib.util.find_spec("braindecode") is not None, reason="braindecode is installed"
)
def test_without_braindecode_a_sentence_names_the_extra(two_bursts):
    with pytest.raises(ImportError, match=r"pip install 'skeegformer\[braindecode\]'"):
        make_baseline("eegnet", sfreq=100.0).fit(*two_bursts)


@pytest.mark.parametrize("name", NETWORKS)
def test_lengths_are_the_authors_at_their_rate_and_the_same_seconds_elsewhere(name):
    class_name, rate, lengths = NETWORKS[name]
    assert rate == (128.0 if name == "eegnet" else 250.0)
    first = {"shallowfbcspnet": "filter_time_length", "eegconformer": "filter_time_length"}
    first |= {"deep4net": "filter_time_length", "eegnet": "kernel_length"}
    first |= {"atcnet": "conv_block_kernel_length_1", "ctnet": "kernel_size"}
    seconds = lengths(1.0, 1000)[first[name]] / rate
    for share in (0.32, 0.64, 2.0):
        found = lengths(share, int(1000 * share))[first[name]]
        assert found / (rate * share) == pytest.approx(seconds, abs=0.5 / (rate * share))
    if importlib.util.find_spec("braindecode") is not None:
        from braindecode import models

        defaults = inspect.signature(getattr(models, class_name).__init__).parameters
        found = lengths(1.0, 1000)
        assert found == {parameter: defaults[parameter].default for parameter in found}


def _make(name, n_chans, n_outputs, n_times, sfreq):
    classifier = BraindecodeClassifier(name)
    classifier.n_chans_, classifier.n_times_, classifier.sfreq_ = n_chans, n_times, sfreq
    classifier.classes_ = np.arange(n_outputs)
    network, params = classifier._make_network()
    return network(**params)


@has_braindecode
def test_braindecode_does_not_shorten_atcnet_by_itself():
    network = _make("atcnet", 4, 2, n_times=160, sfreq=80.0).network
    lengths = NETWORKS["atcnet"][2](80 / 250, 160)
    assert {name: getattr(network, name) for name in lengths} == lengths
    assert lengths["n_windows"] == 2


@has_braindecode
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_braindecode_learn_and_can_be_saved(two_bursts, name):
    X, y = two_bursts
    X = X * [[[1], [10], [100]]] + [[[0], [5], [-90]]]
    passes = 120 if name == "eegnet" else 25  # much the smallest, and much the fastest
    network = make_baseline(name, sfreq=100.0, random_state=0, max_epochs=passes, lr=3e-3)
    assert balanced_accuracy_score(y, network.fit(X, y).predict(X)) > 0.9
    module = network.net_.module_
    np.testing.assert_allclose(module.mean[:, 0], X.mean(axis=(0, 2)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(module.scale[:, 0], 1 / X.std(axis=(0, 2)), rtol=1e-4)
    again = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(again.predict_proba(X), network.predict_proba(X))


@has_braindecode
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", NETWORKS)
def test_equal_seeds_and_epochs_that_are_too_short(two_bursts, name):
    X, y = two_bursts
    X = X.copy()
    X[:, 1] = 7.0  # a dead channel
    first, second = (
        make_baseline(name, sfreq=100.0, random_state=3, max_epochs=1).fit(X, y) for _ in range(2)
    )
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    moving = X.copy()
    moving[:, 1] = np.random.default_rng(0).normal(size=moving[:, 1].shape)
    np.testing.assert_array_equal(first.predict_proba(X), first.predict_proba(moving))
    if name != "atcnet":  # which braindecode shortens
        with pytest.raises(ValueError, match="be made for epochs of 3 samples and 3 channels"):
            make_baseline(name, sfreq=100.0).fit(X[..., :3], y)


@has_braindecode
@pytest.mark.parametrize("name", FASTER_CHANNELS_LAST)
def test_the_order_in_memory_does_not_change_what_is_computed(name):
    torch.manual_seed(0)
    module = _make(name, 8, 3, n_times=240, sfreq=80.0).eval()
    assert not all(p.is_contiguous() for p in module.parameters())
    x = torch.randn(5, 8, 240)

    def logits_and_gradients():
        module.zero_grad()
        logits = module(x)
        logits.square().sum().backward()
        return logits.detach(), [p.grad.clone() for p in module.parameters()]

    fast = logits_and_gradients()
    module.to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(fast, logits_and_gradients(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("information", INFORMATION)
def test_all_pipelines_of_the_benchmark_prepare_alike(information):
    pipelines = benchmark_pipelines(information, task="fist-imagination")
    assert tuple(pipelines) == BENCHMARK_PIPELINES
    assert len(pipelines) == len(set(BASELINES) - set(EVOKED)) + 1
    for pipeline in pipelines.values():
        assert isinstance(pipeline, Pipeline)
        *preparation, classifier = (step for _, step in pipeline.steps)
        described = [str(step) for step in preparation]
        assert described[:2] == ["BandPassFilter(h_freq=30.0, l_freq=8.0)", "Resampler(sfreq=80.0)"]
        adapts = getattr(classifier, "adapt", False)
        aligned = information != "strict" and not adapts
        assert described[2:] == (["EuclideanAlignment()"] if aligned else [])
        with sklearn.config_context(enable_metadata_routing=True):
            asks = pipeline.get_metadata_routing().consumes("fit", ["groups"])
            takes = isinstance(classifier, MirroredClassifier) or hasattr(classifier, "max_epochs")
            assert bool(asks) == (takes or information != "strict")
    assert isinstance(pipelines["skeegformer"][-1], EEGTransformerClassifier)
    assert pipelines["skeegformer"][-1].adapt == (information != "strict")
    assert isinstance(pipelines["EEGNet"][-1], BraindecodeClassifier)


def test_pass_bands_of_the_benchmark():
    eyes = benchmark_pipelines("strict", task="baseline-eyes")
    assert {(pipe[0].l_freq, pipe[0].h_freq) for pipe in eyes.values()} == {(1.0, 40.0)}
    assert eyes["FBCSP"][-1][0].pass_band == (1.0, 40.0)
    four = benchmark_pipelines("calibrated", task="four-class-imagination")
    assert {(pipe[0].l_freq, pipe[0].h_freq) for pipe in four.values()} == {(8.0, 30.0)}
    assert four["band power+LDA"][-1][0].pass_band == (8.0, 30.0)
    for information, task in (("strict", "eyes"), ("all", "baseline-eyes")):
        with pytest.raises(ValueError, match="is not one of"):
            benchmark_pipelines(information, task=task)


def test_baselines_of_evoked_potentials_are_those_made_by_hand():
    X, y, metadata, _ = make_simulated_eeg(
        n_subjects=2, n_epochs=60, case="phase-locked", random_state=0
    )
    X = X.pick(["Fz", "C3", "Cz", "C4", "Pz", "Oz"])
    data, train = X.get_data(units="uV"), (metadata["subject"] == 1).to_numpy()
    means = data.reshape(len(data), 6, 10, 32).mean(axis=-1)  # 320 samples in ten windows
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    tangent_space = make_pipeline(
        XdawnCovariances(4, estimator="oas"), TangentSpace(), LogisticRegression(max_iter=1000)
    )
    for name, by_hand, features in (
        ("means+lda", lda, means.transpose(0, 2, 1).reshape(len(data), -1)),
        ("xdawn+ts+lr", tangent_space, data),
    ):
        baseline = pickle.loads(pickle.dumps(make_baseline(name))).fit(X[train], y[train])
        found = baseline.predict_proba(X[~train])
        expected = by_hand.fit(features[train], y[train]).predict_proba(features[~train])
        np.testing.assert_allclose(found, expected, atol=1e-3)
        assert balanced_accuracy_score(y[~train], baseline.predict(X[~train])) > 0.7


@pytest.mark.parametrize(
    "task, end",
    [
        *(("baseline-eyes", None), ("fist_feet-imagination", None), ("fist-motion", "move")),
        *(("fist-imagination", "imag"), ("four-class-imagination", "imag")),
    ],
)
def test_labels_that_change_sides(task, end):
    sides = f"left-fist-{end}", f"right-fist-{end}"
    pipeline = benchmark_pipelines("strict", task=task)["skeegformer"]
    assert pipeline[-1].mirror == ({} if end is None else dict([sides, sides[::-1]]))


def test_classical_pipelines_on_real_eyes(recorded_subjects, report):
    """Far above chance on subjects never seen, as everywhere in the literature."""
    X, y, metadata = load_eegmmi("baseline-eyes", recorded_subjects[:2])
    groups = metadata["subject"]
    pipelines = benchmark_pipelines("transductive", task="baseline-eyes")
    aligned = pipelines["chance"][:-1].fit_transform(X)
    assert aligned.info["sfreq"] == 80.0
    aligned.pick([name for name in aligned.ch_names if name.startswith(("P", "O"))])
    scores = {}
    for name in ("CSP+LDA", "tangent space+LR", "MDM", "band power+LDA", "FBCSP"):
        classifier = pipelines[name][-1]
        predicted = cross_val_predict(classifier, aligned, y, groups=groups, cv=GroupKFold(2))
        scores[name] = balanced_accuracy_score(y, predicted)
    report("eyes: " + ", ".join(f"{name} {score:.2f}" for name, score in scores.items()))
    assert min(scores.values()) > 0.6


def test_steps_and_parameters_of_the_ready_made_pipeline():
    params = {"l_freq": 1.0, "h_freq": 40.0, "align": True, "n_heads": 3}
    pipeline = make_eeg_pipeline(**params)
    *steps, classifier = (str(step) for _, step in pipeline.steps)
    assert steps == ["BandPassFilter(h_freq=40.0, l_freq=1.0)", "EuclideanAlignment()"]
    assert classifier == "EEGTransformerClassifier(n_heads=3)"
    assert len(make_eeg_pipeline().steps) == 2
    with pytest.raises(ValueError, match="n_heads would go to an EEGTransformerClassifier"):
        make_eeg_pipeline(make_baseline("chance"), n_heads=3)


@pytest.mark.parametrize("as_array", [False, True])
def test_alignment_end_to_end_with_routing(few_channels, as_array):
    X, y, groups = few_channels
    options = {"max_epochs": 1, "random_state": 0}
    if as_array:
        X, options = X.get_data(units="uV"), options | {"h_freq": None}
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_eeg_pipeline(align=True, **options).fit(X, y, groups=groups)
        assert pipeline.predict_proba(X, groups=groups).shape == (120, 2)
    assert sorted(pipeline["euclideanalignment"].references_) == [1, 2, 3, 4]


def test_baselines_read_channels_as_the_classifier_does(few_channels):
    """Other channel types are left out, and another order is put right."""
    X, y, _ = few_channels
    with_eog = X.copy().set_channel_types({"F3": "eog"}, on_unit_change="ignore")
    baseline = make_baseline("csp+lda").fit(with_eog, y)
    expected = baseline.predict_proba(with_eog)
    shuffled = with_eog.copy().reorder_channels(with_eog.ch_names[::-1])
    np.testing.assert_allclose(baseline.predict_proba(shuffled), expected)
    np.testing.assert_allclose(baseline.predict_proba(with_eog.copy().pick("eeg")), expected)
    chance = make_eeg_pipeline(make_baseline("chance")).fit(X, y).predict(X)
    assert balanced_accuracy_score(y, chance) == 0.5

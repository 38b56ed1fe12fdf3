"""The options of ``skeegformer train``, each with its name in eeg-transformer, and its presets."""

import argparse
import difflib
from dataclasses import replace

from skeegformer.cli import _options
from skeegformer.cli._arguments import number_list
from skeegformer.cli._options import Option, auto_or_whole, name_or_place, real, whole
from skeegformer.cli._run_folder import read_yaml

ORIGINAL = "eeg-transformer"
# How the scripts of eeg-transformer differ from `OriginalTransformerClassifier` and the defaults
# below, since 7 November 2022 and before.
_SINCE_2022 = {
    "n_time_tokens": 1,
    "embed_dim": 128,
    "n_layers": 5,
    "drop_prob": 0.0,
    "weight_decay": 0.3,
    "warmup_steps": 1000,
    "batch_size": 64,
}
_ALWAYS = {"h_freq": None, "filter_method": "fir", "noise": 0.2}
PRESETS = {
    "default": {},
    ORIGINAL: _ALWAYS | _SINCE_2022,
    f"{ORIGINAL}-2022": _ALWAYS,
}
_DATA = [
    Option("data", "export (raw-....dat), or Epochs (*-epo.fif ...)", "--data-path", many=True),
    Option("labels", "table of labels, if not beside the export", "--label-path"),
    Option("task", "tasks of EEGMMI, or all, to train on without a file", many=True),
    Option("subjects", "such as 1-8 or 1,2,5-9 (default: all there are)", type=number_list),
    Option("groups", "column that names the subject (default: subject)"),
    Option("conditions", "labels to train on (default: all)", "--conditions", many=True),
    Option("stages", "values of an export's column stage (default: all)", "--stages", many=True),
    Option("window", "with --task: seconds in an epoch", type=real, default=2.0),
]
_HEADER = [
    Option("n_times", "samples in an epoch, if its name does not tell", "--epoch-length", whole),
    Option("n_chans", "number of channels", "--num-channels", whole),
    Option("sfreq", "sampling rate in Hz", "--sample-rate", real),
    Option("ch_names", "names of its channels: C3,Cz,C4, a file of names, or eegmmi"),
]
_SIGNAL = [
    Option(
        "drop",
        "channels to leave out, by name, or by place from 0 on",
        "--ignore-channels",
        name_or_place,
        (),
        many=True,
    ),
    Option("l_freq", "lower edge of the pass band in Hz (default: none)", "--high-pass", real),
    Option("h_freq", "upper edge of the pass band in Hz, or none", "--low-pass", real, 30.0),
    Option(
        "filter_method",
        "of pass bands (default: iir, with --preset eeg-transformer fir)",
        choices=("iir", "fir"),
    ),
    Option("notch_freq", "line frequency to remove, with harmonics, in Hz", "--notch-freq", real),
    Option("resample", "sampling rate in Hz after filters (default: as it is)", type=real),
]
_NETWORK = [
    Option("n_heads", "attention heads; by default of each group", "--num-heads", whole),
    Option("drop_prob", "dropout probability", "--dropout", real),
]
_OURS = [
    Option(
        "mirror",
        "exchange left and right in half of the epochs: auto where labels name sides, none, same "
        "where labels stay, or pairs of labels such as left=right (default: auto)",
        many=True,
    ),
    Option("adapt", "centre log powers on each subject's mean, without labels", type=bool),
    Option("n_groups", "groups of attention heads", type=whole),
    Option("n_filters", "spatial filters of each head", type=whole),
]
_THEIRS = [
    Option("n_time_tokens", "temporal tokens of each channel", "--num-tokens", whole),
    Option("embed_dim", "size of a token inside the network", "--embedding-dim", whole),
    Option("n_layers", "transformer blocks", "--num-layers", whole),
    Option("token_drop_prob", "share of tokens dropped in training", "--token-dropout", real),
    Option("crop", "samples of each epoch to use (default: all)", "--used-data-length", whole),
    Option("noise", "noise in training, of a channel's deviation 1", "--noise-scale", real),
    Option("warmup_steps", "steps in which the learning rate rises", "--warmup-steps", whole),
    Option(
        "shuffle_tokens",
        "tokens that are shuffled in training",
        "--shuffle-tokens",
        choices=("none", "channels", "temporal", "all"),
    ),
]
_TRAINING = [
    Option("max_epochs", "epochs of training, or auto", "--max-epochs", auto_or_whole),
    Option("batch_size", "epochs of EEG in a training step", "--batch-size", whole),
    Option("lr", "peak learning rate", "--learning-rate", real),
    Option("weight_decay", "weight decay of AdamW", "--weight-decay", real),
    Option("class_weight", "balanced: rare classes count more", choices=("balanced", "none")),
    Option(
        "validation_fraction",
        "share of the subjects that are held out, on whose loss training stops; 0 trains on all",
        "--val-subject-ratio",
        real,
        0.15,
    ),
    Option(
        "n_iter_no_change",
        "epochs of training without a lower loss before it stops",
        "--early-stopping-patience",
        whole,
        flag="--patience",
    ),
    Option("random_state", "seed; none draws one", type=whole, default=0, flag="--seed"),
    Option("device", "where to compute: cpu, cuda, or auto", default="cpu"),
]
GROUPS = {
    "data (--data or --task)": _DATA,
    "what an export of eeg-transformer does not tell": _HEADER,
    "signal": _SIGNAL,
    "network": _NETWORK,
    "network of --preset default": [replace(o, network="default") for o in _OURS],
    "network of --preset eeg-transformer": [replace(o, network=ORIGINAL) for o in _THEIRS],
    "training (defaults: those of the preset)": _TRAINING,
}
OPTIONS = {option.name: option for options in GROUPS.values() for option in options}
FLAGS = {name: option.flags[0] for name, option in OPTIONS.items()}


def add_options(parser):
    """Add all options to a parser; those that are not given are missing from its result."""
    for title, options in GROUPS.items():
        _options.add_options(parser.add_argument_group(title), options, suppress=True)


def resolve(given, from_file, preset):
    """Decide on each option: the command line comes first, then a file, a preset, the defaults."""
    network = ORIGINAL if preset.startswith(ORIGINAL) else "default"
    for name, value in (from_file | given).items():
        if value is not None and OPTIONS[name].network not in (None, network):
            raise ValueError(
                f"{FLAGS[name]} is an option of --preset {OPTIONS[name].network}; add that, or "
                "leave it out."
            )
    defaults = {name: option.default for name, option in OPTIONS.items()}
    options = defaults | PRESETS[preset] | from_file | given
    return {name: list(v) if isinstance(v, tuple) else v for name, v in options.items()}


def read_options(path):
    """Read a file of options, or of another run's configuration; gives options and preset."""
    content = read_yaml(path)
    options, preset = content, None
    if isinstance(content.get("options"), dict):
        options, preset = content["options"], content.get("preset")
    return check_options(options, path), preset


def check_options(options, path):
    """Read plain values as the command line would read them; None switches an option off."""
    words = []
    for name, value in options.items():
        if name not in OPTIONS:
            near = difflib.get_close_matches(str(name), OPTIONS, n=1, cutoff=0.75)
            raise ValueError(
                f"{path} has {name!r}, which is no option"
                + (f"; {near[0]} is." if near else f"; there are {', '.join(OPTIONS)}.")
            )
        option = OPTIONS[name]
        values = [str(item) for item in (value if isinstance(value, list) else [value])]
        if option.type is number_list:
            values = [",".join(values)]
        if option.type is bool and isinstance(value, bool):
            words.append(option.flags[0] if value else "--no-" + option.flags[0].strip("-"))
        elif value is not None and values:
            words += [option.flags[0], *values]
    parser = _Parser(prog=str(path), add_help=False, allow_abbrev=False)
    add_options(parser)
    off = {name: None for name, value in options.items() if value is None}
    return off | vars(parser.parse_args(words))


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(f"{self.prog}: {message}")

"""The options of ``skeegformer train``, each with its name in eeg-transformer, and its presets."""

import argparse
from dataclasses import dataclass
from typing import Any

from skeegformer.cli._arguments import number_list
from skeegformer.cli._run_folder import read_yaml


def whole(text):
    """Read a whole number; "none" switches it off."""
    return None if text == "none" else _number(int, text, "whole number")


def real(text):
    """Read a number; "none" switches it off."""
    return None if text == "none" else _number(float, text, "number")


def _number(kind, text, what):
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}") from None


def auto_or_whole(text):
    """Read a whole number, or "auto"."""
    return text if text == "auto" else whole(text)


def name_or_place(text):
    """Read the name of a channel, or its place as a number."""
    return int(text) if text.isdigit() else text


@dataclass(frozen=True)
class Option:
    """An option, named by the parameter that it sets; `original` is its flag in eeg-transformer."""

    name: str
    help: str
    original: str | None = None
    type: Any = str
    default: Any = None
    many: bool = False
    choices: tuple | None = None
    flag: str | None = None

    @property
    def flags(self):
        """Our flag, then eeg-transformer's where it has another."""
        flags = self.flag or "--" + self.name.replace("_", "-"), self.original
        return [flag for flag in dict.fromkeys(flags) if flag]


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
PRESETS = {"default": {}, ORIGINAL: _ALWAYS | _SINCE_2022, f"{ORIGINAL}-2022": _ALWAYS}
_DATA = [
    Option("data", "export (raw-....dat), or Epochs (*-epo.fif ...)", "--data-path", many=True),
    Option("task", "tasks of EEGMMI to load, or all", many=True),
    Option("subjects", "such as 1-8 or 1,2,5-9 (default: all)", type=number_list),
    Option("groups", "metadata column with the subject (default: subject)"),
    Option("conditions", "labels to train on (default: all)", many=True),
    Option("stages", "values of the column stage of an export (default: all)", many=True),
    Option("window", "epoch length in s for --task (default: 2)", type=real, default=2.0),
]
_PLACES = "channels to drop, by name or by index from 0"
_METHOD = "filter type (default: iir, with --preset eeg-transformer fir)"
_SIGNAL = [
    Option("drop", _PLACES, "--ignore-channels", name_or_place, (), many=True),
    Option("l_freq", "lower cutoff in Hz, or none (default: none)", "--high-pass", real),
    Option("h_freq", "upper cutoff in Hz, or none (default: 30)", "--low-pass", real, 30.0),
    Option("filter_method", _METHOD, choices=("iir", "fir")),
    Option("notch_freq", "line frequency to remove, with harmonics, in Hz", type=real),
    Option("resample", "sampling rate in Hz, after filtering (default: unchanged)", type=real),
]
_NETWORK = [
    Option("n_heads", "attention heads; in --preset default, per group", "--num-heads", whole),
    Option("drop_prob", "dropout probability", "--dropout", real),
]
_MIRROR = """exchange left and right in half of the epochs: auto (default; if labels name sides),
none, same (labels are kept), or pairs of labels such as left=right"""
_OURS = [
    Option("mirror", _MIRROR, many=True),
    Option("adapt", "centre log powers on each subject's mean, without labels", type=bool),
    Option("n_groups", "groups of attention heads", type=whole),
    Option("n_filters", "spatial filters per head", type=whole),
]
_SHUFFLES = ("none", "channels", "temporal", "all")
_THEIRS = [
    Option("n_time_tokens", "temporal tokens per channel", "--num-tokens", whole),
    Option("embed_dim", "embedding dimension of a token", "--embedding-dim", whole),
    Option("n_layers", "transformer blocks", "--num-layers", whole),
    Option("token_drop_prob", "share of tokens dropped in training", "--token-dropout", real),
    Option("crop", "samples of each epoch to use (default: all)", "--used-data-length", whole),
    Option("noise", "noise in training, in standard deviations", "--noise-scale", real),
    Option("warmup_steps", "steps in which the learning rate rises", type=whole),
    Option("shuffle_tokens", "tokens to shuffle in training", choices=_SHUFFLES),
]
_HELD_OUT = "share of subjects held out for early stopping (default: 0.15; 0: none)"
_PATIENCE = "training epochs without a lower loss before training stops"
_STOP = "--early-stopping-patience"
_SEED = "random seed, or none for a random one (default: 0)"
_TRAINING = [
    Option("max_epochs", "training epochs, or auto", type=auto_or_whole),
    Option("batch_size", "EEG epochs in a training step", type=whole),
    Option("lr", "peak learning rate", "--learning-rate", real),
    Option("weight_decay", "weight decay of AdamW", type=real),
    Option("class_weight", "class weights in the loss", choices=("balanced", "none")),
    Option("validation_fraction", _HELD_OUT, "--val-subject-ratio", real, 0.15),
    Option("n_iter_no_change", _PATIENCE, _STOP, whole, flag="--patience"),
    Option("random_state", _SEED, type=whole, default=0, flag="--seed"),
    Option("device", "device: cpu (default), cuda, or auto", default="cpu"),
]
GROUPS = {
    "data (--data or --task)": _DATA,
    "signal": _SIGNAL,
    "network": _NETWORK,
    "network of --preset default": _OURS,
    "network of --preset eeg-transformer": _THEIRS,
    "training (defaults: those of the preset)": _TRAINING,
}
OPTIONS = {option.name: option for options in GROUPS.values() for option in options}
FLAGS = {name: option.flags[0] for name, option in OPTIONS.items()}
# What a file may call them: the flags with underscores, beside the names of the parameters.
_IN_FILES = {flag[2:].replace("-", "_"): name for name, flag in FLAGS.items()}
# The only network that has an option.
NETWORKS = {o.name: "default" for o in _OURS} | {o.name: ORIGINAL for o in _THEIRS}


def add_options(parser):
    """Add all options to a parser; those that are not given are missing from its result."""
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        for option in options:
            settings = {"dest": option.name, "help": option.help, "default": argparse.SUPPRESS}
            if option.type is bool:
                settings["action"] = argparse.BooleanOptionalAction
            else:
                settings |= {"type": option.type, "choices": option.choices}
                settings["nargs"] = "+" if option.many else None
                if not option.choices:
                    settings["metavar"] = option.flags[0].strip("-").upper()
            group.add_argument(*option.flags, **settings)


def resolve(given, from_file, preset):
    """Decide on each option: the command line comes first, then a file, a preset, the defaults."""
    from skeegformer._validation import check_one_of

    check_one_of("preset", preset, tuple(PRESETS))
    network = ORIGINAL if preset.startswith(ORIGINAL) else "default"
    for name, value in (from_file | given).items():
        if value is not None and NETWORKS.get(name, network) != network:
            raise ValueError(
                f"{FLAGS[name]} is an option of --preset {NETWORKS[name]}; add that, or leave it "
                "out."
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
    names = [_IN_FILES.get(name, name) for name in options]
    twice = [name for name, own in zip(options, names, strict=True) if names.count(own) > 1]
    if twice:
        raise ValueError(f"{path} gives one option by several names: {', '.join(twice)}.")
    options = dict(zip(names, options.values(), strict=True))
    words = []
    for name, value in options.items():
        if name not in OPTIONS and value is None:
            continue  # an option of earlier versions that was not used
        if name not in OPTIONS:
            raise ValueError(
                f"{path} has {name!r}, which is no option; there are {', '.join(OPTIONS)}."
            )
        option = OPTIONS[name]
        values = [str(item) for item in (value if isinstance(value, list) else [value])]
        if option.type is number_list:
            values = [",".join(values)]
        if option.type is bool and value is not None:
            if not isinstance(value, bool):
                raise ValueError(f"{path}: {name} is {value!r}; write true or false.")
            words.append(option.flags[0] if value else "--no-" + option.flags[0].strip("-"))
        elif value is not None and values:
            words += [option.flags[0], *values]
    parser = _Parser(prog=str(path), add_help=False, allow_abbrev=False)
    add_options(parser)
    off = {name: None for name, value in options.items() if value is None and name in OPTIONS}
    return off | vars(parser.parse_args(words))


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(f"{self.prog}: {message}")

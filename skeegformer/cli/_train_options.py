"""The options of ``skeegformer train``, each with its counterpart in eeg-transformer."""

import argparse
from dataclasses import dataclass, field, replace
from typing import Any

from skeegformer.cli._arguments import number_list

ORIGINAL = "eeg-transformer"
# Where its script has other values than `OriginalTransformerClassifier` and the options below.
PRESETS = {"default": {}, ORIGINAL: {"noise": 0.2, "h_freq": None}}


@dataclass(frozen=True)
class Option:
    """An option of the command line, which a YAML file may give as well.

    Attributes
    ----------
    name : str
        Key in YAML files; the first flag is made of it unless `flag` says otherwise.
    help : str
        What it does.
    default : object
        Value where nobody gives one.
    type : callable or None
        Makes a value of what the user wrote; None for switches.
    original : str or None
        The option's name in eeg-transformer, which is understood too.
    choices : tuple or None
        Allowed values.
    many : bool
        Whether it takes several values.
    flag : str or None
        The flag, without dashes.
    metavar : str or None
        Placeholder in the help.
    preset : str or None
        The only preset whose network has it; None for all.
    """

    name: str
    help: str
    default: Any = None
    type: Any = str
    original: str | None = None
    choices: tuple | None = None
    many: bool = False
    flag: str | None = None
    metavar: str | None = None
    preset: str | None = None

    @property
    def flags(self):
        """Our flag, then eeg-transformer's where it has another."""
        ours = "--" + (self.flag or self.name.replace("_", "-"))
        return [ours] if self.original in (None, ours) else [ours, self.original]

    def check(self, value):
        """Bring a value from a YAML file into the form that the command line gives.

        Parameters
        ----------
        value : object
            What the file says.

        Returns
        -------
        object
            The value.

        Raises
        ------
        ValueError
            If it is none that the option takes.
        """
        if value is None:
            return None
        values = value if isinstance(value, list) else [value]
        if len(values) > 1 and not self.many and self.type is not number_list:
            raise ValueError(f"{self.name} takes one value, not {value!r}.")
        if self.type is None:
            if not isinstance(value, bool):
                raise ValueError(f"{self.name} is {value!r}, but has to be true or false.")
            return value
        if self.type is number_list:
            return list(number_list(",".join(map(str, values))))
        made = []
        for item in values:
            try:
                made.append(self.type(str(item)))
            except (ValueError, argparse.ArgumentTypeError) as error:
                raise ValueError(f"{self.name} is {item!r}: {error}") from error
            if self.choices and made[-1] not in self.choices:
                raise ValueError(f"{self.name}={item!r} is not one of {', '.join(self.choices)}.")
        return made if self.many else made[0]


@dataclass(frozen=True)
class Group:
    """Options that belong together.

    Attributes
    ----------
    title : str
        Heading in the help.
    options : list of Option
        The options.
    """

    title: str
    options: list = field(default_factory=list)


def passes(text):
    """Read a number of passes over the data, or "auto".

    Parameters
    ----------
    text : str
        What the user wrote.

    Returns
    -------
    int or str
        The number, or "auto".
    """
    return text if text == "auto" else int(text)


def name_or_place(text):
    """Read a channel's name, or its place.

    Parameters
    ----------
    text : str
        What the user wrote.

    Returns
    -------
    int or str
        An int where it is a whole number.
    """
    return int(text) if text.isdigit() else text


_DATA = [
    Option(
        "data",
        "an export of `skeegformer download` (raw-....dat), or of eeg-transformer",
        original="--data-path",
        metavar="FILE",
    ),
    Option(
        "labels",
        "its table of labels, where it does not lie beside it",
        original="--label-path",
        metavar="FILE",
    ),
    Option(
        "task",
        "tasks of EEGMMI to train on without an export: baseline-eyes, fist-motion, "
        "fist-imagination, fist_feet-motion, fist_feet-imagination, or all",
        many=True,
        metavar="TASK",
    ),
    Option(
        "subjects",
        "subjects such as 1-8 or 1,2,5-9 (default: all of the export; all recordings on this "
        "machine)",
        type=number_list,
        metavar="LIST",
    ),
    Option(
        "conditions",
        "labels to train on (default: all that there are)",
        original="--conditions",
        many=True,
        metavar="LABEL",
    ),
    Option(
        "stages",
        "of an export: values of its column stage to use (default: all)",
        original="--stages",
        many=True,
        metavar="STAGE",
    ),
    Option("window", "with --task: length of an epoch in seconds", 2.0, float, metavar="SECONDS"),
    Option(
        "n_times",
        "samples in an epoch, for an export of eeg-transformer whose name does not tell",
        type=int,
        original="--epoch-length",
        metavar="N",
    ),
    Option(
        "n_chans",
        "number of channels, for an export of eeg-transformer",
        type=int,
        original="--num-channels",
        metavar="N",
    ),
    Option(
        "sfreq",
        "sampling rate in Hz, for an export of eeg-transformer",
        type=float,
        original="--sample-rate",
        metavar="HZ",
    ),
]
_SIGNAL = [
    Option(
        "drop",
        "channels to leave out, by name, or by place from 0 on",
        (),
        name_or_place,
        "--ignore-channels",
        many=True,
        metavar="CHANNEL",
    ),
    Option(
        "l_freq",
        "lower edge of the pass band in Hz (default: none)",
        type=float,
        original="--high-pass",
        metavar="HZ",
    ),
    Option(
        "h_freq",
        "upper edge of the pass band in Hz, or 'none'",
        30.0,
        float,
        "--low-pass",
        metavar="HZ",
    ),
    Option(
        "notch_freq",
        "line frequency to remove, with its harmonics, in Hz (default: none)",
        type=float,
        original="--notch-freq",
        metavar="HZ",
    ),
    Option(
        "resample",
        "sampling rate in Hz after filtering (default: as it is)",
        type=float,
        metavar="HZ",
    ),
]
_MODEL = [
    Option(
        "mirror",
        "exchange left and right in half of the epochs: 'auto' where labels name left and right, "
        "'none', or pairs such as left=right; 'same' where labels stay",
        "auto",
        many=True,
        metavar="HOW",
        preset="default",
    ),
    Option(
        "adapt",
        "whether log powers are centred on each subject's own mean, without labels",
        False,
        None,
        preset="default",
    ),
    Option("n_groups", "groups of attention heads", None, int, metavar="N", preset="default"),
    Option("n_filters", "spatial filters of each head", None, int, metavar="N", preset="default"),
    Option("n_heads", "attention heads, of each group", None, int, "--num-heads", metavar="N"),
    Option("drop_prob", "dropout probability", None, float, "--dropout", metavar="P"),
]
_ORIGINAL_MODEL = [
    Option("n_time_tokens", "temporal tokens of each channel", None, int, "--num-tokens"),
    Option("embed_dim", "size of a token inside the network", None, int, "--embedding-dim"),
    Option("n_layers", "transformer blocks", None, int, "--num-layers"),
    Option(
        "token_drop_prob",
        "probability that a token is dropped in training",
        None,
        float,
        "--token-dropout",
    ),
    Option(
        "crop",
        "samples of each epoch to use, after filters and resampling: in training from a random "
        "one on, in prediction the first (default: all)",
        None,
        int,
        "--used-data-length",
    ),
    Option(
        "noise",
        "noise added in training, in standard deviations of each channel (default: 0.2)",
        None,
        float,
        "--noise-scale",
    ),
    Option(
        "shuffle_tokens",
        "tokens that are shuffled in training",
        "none",
        original="--shuffle-tokens",
        choices=("none", "channels", "temporal", "all"),
    ),
    Option(
        "warmup_steps",
        "training steps in which the learning rate rises (default: 500)",
        None,
        int,
        "--warmup-steps",
    ),
]
_ORIGINAL_MODEL = [replace(o, preset=ORIGINAL, metavar=o.metavar or "X") for o in _ORIGINAL_MODEL]
_TRAINING = [
    Option(
        "max_epochs", "passes over the data, or 'auto'", None, passes, "--max-epochs", metavar="N"
    ),
    Option("batch_size", "epochs in a training step", None, int, "--batch-size", metavar="N"),
    Option("lr", "peak learning rate", None, float, "--learning-rate", metavar="RATE"),
    Option("weight_decay", "weight decay of AdamW", None, float, "--weight-decay", metavar="X"),
    Option(
        "class_weight",
        "weights of the classes in the loss: balanced makes rare ones count more",
        None,
        choices=("balanced", "none"),
    ),
    Option(
        "validation_fraction",
        "share of the subjects that are held out: training stops when their loss no longer "
        "falls, and the best weights are kept; 0 trains on all",
        0.15,
        float,
        "--val-subject-ratio",
        metavar="SHARE",
    ),
    Option(
        "n_iter_no_change",
        "passes without a lower loss before training stops",
        None,
        int,
        "--early-stopping-patience",
        flag="patience",
        metavar="N",
    ),
    Option("random_state", "seed of weights, split and order", 0, int, flag="seed", metavar="N"),
    Option("device", "where to compute: cpu, cuda, or auto", "cpu"),
]
GROUPS = [
    Group("data (--data or --task)", _DATA),
    Group("signal", _SIGNAL),
    Group("network", _MODEL),
    Group("network of --preset eeg-transformer", _ORIGINAL_MODEL),
    Group("training (default: as the classifier's, see the documentation)", _TRAINING),
]
OPTIONS = {option.name: option for group in GROUPS for option in group.options}


def add_options(parser):
    """Add all options to a parser; those that are not given are missing from its result.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The parser.
    """
    for group in GROUPS:
        section = parser.add_argument_group(group.title)
        for option in group.options:
            text = option.help
            if option.default not in (None, ()) and "default" not in text:
                text += f" (default: {_written(option.default)})"
            settings = {"dest": option.name, "default": argparse.SUPPRESS, "help": text}
            if option.type is None:
                section.add_argument(
                    *option.flags, action=argparse.BooleanOptionalAction, **settings
                )
                continue
            if option.choices:
                settings["choices"] = option.choices
                settings["metavar"] = None if not option.many else option.metavar
            else:
                settings["metavar"] = option.metavar or option.name.upper()
            if option.many:
                settings["nargs"] = "+"
            section.add_argument(*option.flags, type=_or_none(option), **settings)


def resolve(given, from_file, preset):
    """Decide on the value of each option.

    Parameters
    ----------
    given : dict
        From the command line; comes first.
    from_file : dict
        From a YAML file; comes second.
    preset : str
        Name of a preset, which comes third, before the defaults.

    Returns
    -------
    dict
        A plain value for every option.

    Raises
    ------
    ValueError
        If the file has an unknown option, or a value that an option does not take.
    """
    unknown = [name for name in from_file if name not in OPTIONS]
    if unknown:
        import difflib

        near = difflib.get_close_matches(str(unknown[0]), OPTIONS, n=1)
        raise ValueError(
            f"--config has {unknown[0]!r}, which is no option"
            + (f"; {near[0]} is." if near else f"; there are {', '.join(OPTIONS)}.")
        )
    checked = {
        name: None if value == "none" and _takes_none(OPTIONS[name]) else OPTIONS[name].check(value)
        for name, value in from_file.items()
    }
    for name in given | checked:
        only, default = OPTIONS[name].preset, OPTIONS[name].default
        # The configuration of a run lists all options, those of the other network unchanged.
        if only not in (None, preset) and (given | checked)[name] not in (default, [default]):
            raise ValueError(f"{OPTIONS[name].flags[0]} is an option of --preset {only}.")
    defaults = {name: option.default for name, option in OPTIONS.items()}
    options = defaults | PRESETS[preset] | checked | given
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in options.items()
    }


def _takes_none(option):
    return option.type in (int, float)


def _or_none(option):
    """Let numbers be switched off by the word none."""
    if not _takes_none(option):
        return option.type

    def read(text):
        return None if text == "none" else option.type(text)

    read.__name__ = {int: "whole number", float: "number"}[option.type]
    return read


def _written(value):
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)

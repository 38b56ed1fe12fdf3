"""The steps and the classifier that the options of ``skeegformer train`` describe."""

from skeegformer.cli._train_options import ORIGINAL
from skeegformer.cli._training_data import in_file


def make_steps(options, X):
    """Make the steps in front of the classifier; refuse what cannot be done to these epochs."""
    from skeegformer import BandPassFilter, ChannelDropper, NotchFilter, Resampler

    steps = []
    sfreq = options["sfreq"]  # only an export of eeg-transformer needs to be told
    if options["drop"]:
        steps.append(("drop", ChannelDropper(_dropped(options["drop"], X))))
    if options["notch_freq"] is not None:
        steps.append(("notch", NotchFilter(options["notch_freq"], sfreq=sfreq)))
    if options["l_freq"] is not None or options["h_freq"] is not None:
        method = options["filter_method"] or "iir"
        band = BandPassFilter(options["l_freq"], options["h_freq"], method=method, sfreq=sfreq)
        steps.append(("filter", band))
    if options["resample"] is not None:
        steps.append(("resample", Resampler(options["resample"], input_sfreq=sfreq)))
    filters = [name for name, _ in steps if name != "drop"]
    if filters and getattr(X, "sfreq", 1) is None:
        only_low_pass = filters == ["filter"] and options["l_freq"] is None
        raise ValueError(
            f"{X.path.name} does not tell its sampling rate, which filters need: give --sfreq "
            "(--sample-rate)"
            + (", or --h-freq none (--low-pass none) for no filter." if only_low_pass else ".")
        )
    return steps


def _dropped(channels, X):
    """Read names and places of channels as names, or as places where names are not known."""
    if in_file(X):
        names, n_chans = X.ch_names, X.shape[1]
    else:
        names = X.copy().pick("eeg").ch_names
        n_chans = len(names)
    dropped = []
    for channel in channels:
        if str(channel) in (names or ()):
            dropped.append(str(channel))
        elif isinstance(channel, int) and channel < n_chans:
            dropped.append(names[channel] if names else channel)
        elif isinstance(channel, int):
            raise ValueError(f"--drop {channel}: the {n_chans} channels are 0 to {n_chans - 1}.")
        elif names is None:
            raise ValueError(
                f"--drop {channel}: {X.path.name} does not tell the names of its channels; give "
                "--ch-names, or places from 0 on."
            )
        else:
            raise ValueError(f"--drop {channel}: there is no such channel in {', '.join(names)}.")
    return tuple(dropped)


def make_classifier(options, preset="default", verbose=False, labels=()):
    """Make the classifier, with parameters that were checked; `labels` may be numbers."""
    from skeegformer import EEGTransformerClassifier, OriginalTransformerClassifier

    of_original = preset.startswith(ORIGINAL)
    kind = OriginalTransformerClassifier if of_original else EEGTransformerClassifier
    names = kind().get_params()
    params = {name: value for name, value in options.items() if name in names and value is not None}
    params |= {"sfreq": options["resample"] or options["sfreq"], "verbose": int(verbose)}
    params["early_stopping"] = bool(options["validation_fraction"])
    if not params["early_stopping"]:
        params.pop("validation_fraction", None)
    if options["class_weight"] == "none":
        params["class_weight"] = None
    if "mirror" in params:
        params["mirror"] = _mirror(options["mirror"], {str(label): label for label in labels})
    classifier = kind(**params)
    classifier._check_parameters()
    return classifier


def _mirror(words, labels):
    """Read how epochs are mirrored."""
    if len(words) == 1 and words[0] in ("auto", "none", "same"):
        return {"auto": "auto", "none": None, "same": {}}[words[0]]
    pairs = [word.split("=") for word in words]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise ValueError(
            f"--mirror {' '.join(words)} is none of auto, none and same, and no pairs of labels "
            "such as left=right."
        )
    return {labels.get(a, a): labels.get(b, b) for a, b in pairs}

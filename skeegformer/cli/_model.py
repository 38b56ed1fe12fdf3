"""The steps and the classifier that the options of ``skeegformer train`` describe."""

from skeegformer.cli._train_options import ORIGINAL
from skeegformer.cli._training_data import in_file


def make_steps(options, X):
    """Make the steps in front of the classifier; refuse what cannot be done to these epochs."""
    from skeegformer import BandPassFilter, ChannelDropper, NotchFilter, Resampler

    steps = []
    if options["drop"]:
        steps.append(("drop", ChannelDropper(_dropped(options["drop"], X))))
    if options["notch_freq"] is not None:
        steps.append(("notch", NotchFilter(options["notch_freq"])))
    if options["l_freq"] is not None or options["h_freq"] is not None:
        method = options["filter_method"] or "iir"
        band = BandPassFilter(options["l_freq"], options["h_freq"], method=method)
        steps.append(("filter", band))
    if options["resample"] is not None:
        steps.append(("resample", Resampler(options["resample"])))
    return steps


def _dropped(channels, X):
    """Read names and places of channels as names."""
    from skeegformer._validation import eeg_picks

    names = X.ch_names if in_file(X) else [X.ch_names[pick] for pick in eeg_picks(X)]
    dropped = []
    for channel in channels:
        if str(channel) not in names:
            if not isinstance(channel, int) or channel >= len(names):
                raise ValueError(
                    f"--drop {channel}: there is no such channel; they are, from 0 to "
                    f"{len(names) - 1}, {', '.join(names)}."
                )
            channel = names[channel]
        dropped.append(str(channel))
    return tuple(dropped)


def make_classifier(options, preset="default", verbose=False, labels=()):
    """Make the classifier, with parameters that were checked; `labels` may be numbers."""
    from skeegformer import EEGTransformerClassifier, OriginalTransformerClassifier

    of_original = preset.startswith(ORIGINAL)
    kind = OriginalTransformerClassifier if of_original else EEGTransformerClassifier
    names = kind().get_params()
    params = {name: value for name, value in options.items() if name in names and value is not None}
    params["verbose"] = int(verbose)
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

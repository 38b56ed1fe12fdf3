"""How epochs were processed before they came here: what those to predict share with those of `fit`.

Of what is not written in their `mne.Info` nothing can be known.
"""

import warnings

import numpy as np

from skeegformer._utils.info import applied_projections, pass_band, restored_projections
from skeegformer._validation._parameters import listed

# Limits of filters in Hz that are closer than this, or than a tenth, are the same.
_CLOSE = 0.5
_AVERAGE = "Average EEG reference"  # MNE's name of the projection
_APART = 0.08  # m; electrodes of one name are nearer to each other in all montages of one system


def processing_of(info, baseline=()):
    """List projections that were applied, whether there is another reference, and filters."""
    # Of the baseline, an interval in s, None says that there is none, and () that nothing is known.
    if info is None:
        return None
    applied, (low, high) = applied_projections(info), pass_band(info)
    if baseline is None and restored_projections(info) is not None:
        baseline = ()  # which no file tells
    return {
        "projections": applied,
        "reference": bool(info["custom_ref_applied"] or _AVERAGE in applied),
        "highpass": low,
        "lowpass": high,
        "baseline": baseline,
    }


def other_projections(before, now, whose="of fit"):
    """Say in a sentence which projection was applied to some epochs only."""
    if before is None or now is None:
        return
    names = {*before["projections"]}.symmetric_difference(now["projections"])
    if before["reference"] and now["reference"]:
        names -= {_AVERAGE}  # which both have, by a projection or without
    if names:
        yield (
            f"The projection {min(names)!r} was applied to the epochs {whose}, but not to others, "
            "or the other way round: project all alike (epochs.apply_proj)."
        )


def other_processing(before, now, whose="of fit"):
    """Say in sentences how the reference or the filters of epochs differ from those before."""
    if before is None or now is None:
        return
    if before["reference"] != now["reference"]:
        states = ("have the reference of the recording", "were re-referenced")
        yield (
            f"The epochs {whose} {states[before['reference']]}, but others "
            f"{states[now['reference']]}: reference all alike (epochs.set_eeg_reference)."
        )
    yield from other_projections(before, now, whose)
    spans = before.get("baseline", ()), now["baseline"]
    if () not in spans and min(before["highpass"], now["highpass"]) < _CLOSE:
        spans = [np.round(one, 2) + 0.0 if one else () for one in spans]
        first, second = ("{:g} to {:g} s".format(*one) if len(one) else "none" for one in spans)
        if first != second:
            yield (
                f"The baseline of the epochs {whose} is {first}, but that of others {second}: "
                "correct all alike (epochs.apply_baseline)."
            )
    bands = [(one["highpass"], one["lowpass"]) for one in (before, now)]
    if None not in bands[0] and not np.allclose(*bands, rtol=0.1, atol=_CLOSE):
        texts = [f"{low:g} to {high:g} Hz" for low, high in bands]
        yield (
            f"The epochs {whose} hold {texts[0]} by their info, but others {texts[1]}: filter all "
            "alike, for example by a BandPassFilter in the Pipeline."
        )


def other_places(before, now):
    """Say in a sentence which channels are, by name, electrodes of quite another place."""
    if before is None or now is None:
        return
    places = [{one["ch_name"]: one["loc"][:3] for one in info["chs"]} for info in (before, now)]
    names = [name for name in places[1] if name in places[0]]
    both = np.array([[place[name] for name in names] for place in places]).reshape(2, -1, 3)
    known = ((np.abs(both) < 1).all(axis=2) & both.any(axis=2)).all(axis=0)  # in metres
    apart = np.flatnonzero(known & (np.linalg.norm(both[0] - both[1], axis=1) > _APART))
    if len(apart):
        yield (
            f"By their positions, {listed([names[k] for k in apart])} are elsewhere on the head "
            "than in fit: other caps have other places of the same names, or a montage is wrong. "
            "Set the right one (epochs.set_montage), or rename channels (epochs.rename_channels)."
        )


def warn_of_other_processing(estimator, now, differences=other_processing, info=None):
    """Warn where epochs to predict or to transform were not processed like those of `fit`."""
    texts = differences(getattr(estimator, "_processing", None), now)
    for text in [*texts, *other_places(estimator.info_, info)]:
        warnings.warn(text, UserWarning, stacklevel=4)


def warn_of_unprocessed(estimators):
    """Warn of what the epochs of `fit` went through, and arrays of a stream may not have."""
    known = [getattr(one, "_processing", None) or {} for one in estimators]
    known = next(filter(None, reversed(known)), {"projections": [], "reference": False})
    done = [f"the projection {name!r} applied" for name in known["projections"]]
    if known["reference"] and _AVERAGE not in known["projections"]:
        done.append("another reference than that of the recording")
    if known.get("baseline") and known["highpass"] < _CLOSE:
        done.append("a baseline correction (unnecessary with a high-pass filter)")
    if done:
        warnings.warn(
            f"The epochs of fit have {', '.join(done)}; a stream is taken as it comes, and has to "
            "be processed alike.",
            stacklevel=3,
        )

"""How epochs were processed before they came here: what those to predict share with those of `fit`.

Of what is not written in their `mne.Info` nothing can be known.
"""

import warnings

import numpy as np

from skeegformer._utils.info import applied_projections, pass_band

# Limits of filters in Hz that are closer than this, or than a tenth, are the same.
_CLOSE = 0.5
_AVERAGE = "Average EEG reference"  # MNE's name of the projection


def processing_of(info, baseline=()):
    """List projections that were applied, whether there is another reference, and filters."""
    # Of the baseline, an interval in s, None says that there is none, and () that nothing is known.
    if info is None:
        return None
    applied, (low, high) = applied_projections(info), pass_band(info)
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
    if () not in spans:
        first, second = ("{:.2f} to {:.2f} s".format(*one) if one else "none" for one in spans)
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


def warn_of_other_processing(estimator, now, differences=other_processing):
    """Warn where epochs to predict or to transform were not processed like those of `fit`."""
    for text in differences(getattr(estimator, "_processing", None), now):
        warnings.warn(text, UserWarning, stacklevel=4)


def warn_of_unprocessed(estimators):
    """Warn of what the epochs of `fit` went through, and arrays of a stream may not have."""
    known = [getattr(one, "_processing", None) or {} for one in estimators]
    known = next(filter(None, reversed(known)), {"projections": [], "reference": False})
    done = [f"the projection {name!r} applied" for name in known["projections"]]
    if known["reference"] and _AVERAGE not in known["projections"]:
        done.append("another reference than that of the recording")
    if known.get("baseline") and known["highpass"] < _CLOSE:
        done.append("a baseline, which a high-pass filter would do without")
    if done:
        warnings.warn(
            f"The epochs of fit have {', '.join(done)}; a stream is taken as it comes, and has to "
            "be processed alike.",
            stacklevel=3,
        )

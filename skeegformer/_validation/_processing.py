"""How epochs were processed before they came here: what those to predict share with those of `fit`.

Of what is not written in their `mne.Info` nothing can be known.
"""

import warnings

import mne
import numpy as np

from skeegformer._utils.info import pass_band

# Limits of filters in Hz that are closer than this, or than a tenth, are the same.
_CLOSE = 0.5
_AVERAGE = mne.io.constants.FIFF.FIFFV_PROJ_ITEM_EEG_AVREF


def processing_of(info):
    """List projections that were applied, whether there is another reference, and filters."""
    if info is None:
        return None
    applied = [proj for proj in info["projs"] if proj["active"]]
    low, high = pass_band(info)
    average = any(proj["kind"] == _AVERAGE for proj in applied)
    return {
        "projections": sorted(proj["desc"] for proj in applied),
        "reference": average or bool(info["custom_ref_applied"]),
        "highpass": low,
        "lowpass": high,
    }


def warn_of_projections(estimator, info):
    """Say that a projection was applied in `fit`, and is in what comes now, but not applied."""
    fitted = getattr(estimator, "_processing", None)
    if fitted is None or info is None:
        return
    there = {proj["desc"] for proj in info["projs"] if not proj["active"]}
    waiting = there.intersection(fitted["projections"])
    if waiting:
        warnings.warn(
            f"The projection {min(waiting)!r} was applied to the epochs of fit, but not yet to "
            "what comes now: call apply_proj().",
            stacklevel=3,
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
    bands = [(one["highpass"], one["lowpass"]) for one in (before, now)]
    if None not in bands[0] and not np.allclose(*bands, rtol=0.1, atol=_CLOSE):
        texts = [f"{low:g} to {high:g} Hz" for low, high in bands]
        yield (
            f"The epochs {whose} hold {texts[0]} by their info, but others {texts[1]}: filter all "
            "alike, for example by a BandPassFilter in the Pipeline."
        )


def warn_of_other_processing(estimator, info):
    """Warn where epochs to predict were not processed like those of `fit`."""
    warn_of_projections(estimator, info)
    for text in other_processing(getattr(estimator, "_processing", None), processing_of(info)):
        warnings.warn(text, UserWarning, stacklevel=4)

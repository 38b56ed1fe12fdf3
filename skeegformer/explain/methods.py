"""What each method of explanation computes, and how its values may be read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """How to read the values of a method."""

    label: str
    family: str  # what it attributes: "attention", "gradient" or "perturbation"
    unit: str  # shares are of 1
    reference: str  # the paper
    signed: bool = False  # whether a value may be negative: the channel speaks against the class
    class_specific: bool = True  # whether values belong to one class, or are the same for all


METHODS = {
    "rollout": Method(
        "attention rollout",
        "attention",
        "share of attention",
        "Abnar and Zuidema (2020), arXiv:2005.00928",
        class_specific=False,
    ),
    "gradient-rollout": Method(
        "gradient rollout",
        "gradient",
        "share of positive relevance",
        "Chefer, Gur and Wolf (2021), arXiv:2103.15679",
    ),
    "integrated-gradients": Method(
        "integrated gradients",
        "gradient",
        "log odds of the class",
        "Sundararajan, Taly and Yan (2017), arXiv:1703.01365",
        signed=True,
    ),
    "occlusion": Method(
        "occlusion",
        "perturbation",
        "drop in log odds of the class",
        "Zeiler and Fergus (2014), arXiv:1311.2901",
        signed=True,
    ),
    "permutation": Method(
        "permutation",
        "perturbation",
        "drop in log odds of the class",
        "Breiman (2001), doi:10.1023/A:1010933404324",
        signed=True,
    ),
}

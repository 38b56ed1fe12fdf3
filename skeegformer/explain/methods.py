"""What each method of explanation computes, and how its values may be read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """How to read the values of a method.

    Parameters
    ----------
    label : str
        Name for figures.
    family : {"attention", "gradient", "perturbation"}
        By what it attributes.
    unit : str
        Unit of the values; shares are of 1.
    reference : str
        The paper.
    signed : bool
        Whether a value may be negative: the channel speaks against the class.
    class_specific : bool
        Whether values belong to one class; the others are the same for every class.
    """

    label: str
    family: str
    unit: str
    reference: str
    signed: bool = False
    class_specific: bool = True


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

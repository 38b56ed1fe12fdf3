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
    signed : bool
        Whether a value may be negative: the channel speaks against the class.
    additive : bool
        Whether the values of an epoch add up to what the model says of it.
    class_specific : bool
        Whether values belong to one class; the others are the same for every class.
    parts : tuple of str
        Along what a channel's value may be divided: temporal tokens, or frequency bands.
    reference : str
        The paper.
    """

    label: str
    family: str
    unit: str
    signed: bool
    additive: bool
    class_specific: bool
    parts: tuple
    reference: str

    @property
    def is_share(self):
        """Whether values are shares of 1, which figures show in percent: bool."""
        return self.unit.startswith("share")


_LOG_ODDS = "log odds of the class"

METHODS = {
    "rollout": Method(
        label="attention rollout",
        family="attention",
        unit="share of attention",
        signed=False,
        additive=False,
        class_specific=False,
        parts=("time",),
        reference="Abnar and Zuidema (2020), arXiv:2005.00928",
    ),
    "gradient-rollout": Method(
        label="gradient rollout",
        family="gradient",
        unit="share of relevance",
        signed=False,
        additive=False,
        class_specific=True,
        parts=("time",),
        reference="Chefer, Gur and Wolf (2021), arXiv:2103.15679",
    ),
    "integrated-gradients": Method(
        label="integrated gradients",
        family="gradient",
        unit=_LOG_ODDS,
        signed=True,
        additive=True,
        class_specific=True,
        parts=("time",),
        reference="Sundararajan, Taly and Yan (2017), arXiv:1703.01365",
    ),
    "occlusion": Method(
        label="occlusion",
        family="perturbation",
        unit=f"drop in {_LOG_ODDS}",
        signed=True,
        additive=False,
        class_specific=True,
        parts=("time", "band"),
        reference="Zeiler and Fergus (2014), arXiv:1311.2901",
    ),
    "permutation": Method(
        label="permutation",
        family="perturbation",
        unit=f"drop in {_LOG_ODDS}",
        signed=True,
        additive=False,
        class_specific=True,
        parts=(),
        reference="Breiman (2001), doi:10.1023/A:1010933404324",
    ),
}

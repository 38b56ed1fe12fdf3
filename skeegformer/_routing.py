"""Handing subjects to those steps that ask for them."""

from sklearn import get_config
from sklearn.utils.metadata_routing import get_routing_for_object


def routed_groups(pipeline, method, groups):
    """Give groups to pipelines that request them by scikit-learn's metadata routing.

    Parameters
    ----------
    pipeline : Pipeline
        Whom to ask.
    method : str
        For which method, such as "fit".
    groups : ndarray of shape (n_epochs,) or None
        Subjects.

    Returns
    -------
    dict
        Arguments for the method: the groups under the name that is asked for, which is
        "subjects" where pipelines are made for MOABB. Empty where routing is off.
    """
    if groups is None or not get_config()["enable_metadata_routing"]:
        return {}
    names = get_routing_for_object(pipeline).consumes(method, ["groups", "subjects"])
    return dict.fromkeys(names, groups)

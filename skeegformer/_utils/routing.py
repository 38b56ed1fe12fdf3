"""Handing subjects to those steps that ask for them."""

from sklearn import get_config
from sklearn.utils.metadata_routing import get_routing_for_object


def routed_groups(pipeline, method, groups):
    """Give groups as arguments of a method, under the name that steps request them by.

    The name is "subjects" where pipelines are made for MOABB; empty where routing is off.
    """
    if groups is None or not get_config()["enable_metadata_routing"]:
        return {}
    names = get_routing_for_object(pipeline).consumes(method, ["groups", "subjects"])
    return dict.fromkeys(names, groups)

"""Handing subjects to those steps that ask for them."""

from sklearn import get_config
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

SEARCHES = GridSearchCV, RandomizedSearchCV


def groups_for_fit(estimator, groups):
    """Give groups as arguments of `fit`, if it or one of its steps has a use for them."""
    # A search without routing hands them to its splitter.
    is_search = isinstance(estimator, SEARCHES) and not get_config()["enable_metadata_routing"]
    if groups is not None and (is_search or has_fit_parameter(estimator, "groups")):
        return {"groups": groups}
    return routed_groups(estimator, "fit", groups)


def routed_groups(pipeline, method, groups):
    """Give groups as arguments of a method, under the name that steps request them by."""
    # The name is "subjects" where pipelines are made for MOABB; empty where routing is off.
    if groups is None or not get_config()["enable_metadata_routing"]:
        return {}
    names = get_routing_for_object(pipeline).consumes(method, ["groups", "subjects"])
    return dict.fromkeys(names, groups)

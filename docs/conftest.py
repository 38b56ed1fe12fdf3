"""Keep pytest, which looks for doctests here, from training every example of the gallery."""

collect_ignore_glob = ["examples/*", "gallery/*"]

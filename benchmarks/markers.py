"""Tables in README.md and in the documentation, so that no number is copied by hand."""

import re
from pathlib import Path

_MARKERS = {".md": ("<!-- {} -->", "<!-- /{} -->"), ".rst": (".. {}", ".. /{}")}


def write_between_markers(path, name, text):
    """Put a text between two lines of a file, in place of what was there.

    Parameters
    ----------
    path : path-like
        A file whose name ends in ``.md`` or ``.rst``.
    name : str
        The name in the lines, ``<!-- name -->`` and ``<!-- /name -->`` in Markdown and the comments
        ``.. name`` and ``.. /name`` in reStructuredText.
    text : str
        What to put there, such as the result of `scores_table`.
    """
    path = Path(path)
    first, last = (marker.format(name) for marker in _MARKERS[path.suffix])
    gap = "\n\n" if path.suffix == ".rst" else "\n"  # where a comment ends with an empty line
    pattern = rf"^{re.escape(first)}$.*?^{re.escape(last)}$"
    before = path.read_text(encoding="utf-8")
    inside = "".join([first, gap, text.strip("\n"), gap, last])
    flags = re.MULTILINE | re.DOTALL
    after, n_found = re.subn(pattern, lambda _: inside, before, flags=flags)
    if n_found != 1:
        raise SystemExit(f"{path} has to have {first!r} once, and {last!r} once after it.")
    path.write_text(after, encoding="utf-8")

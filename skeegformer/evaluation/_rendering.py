"""Cells to text: Markdown, reStructuredText, and plain text for terminals."""

import re
import textwrap

FORMATS = ("markdown", "rst", "text")
# Characters that would be taken for markup.
_SPECIAL = {"markdown": r"([\\|*_`<])", "rst": r"([\\|*_`])"}


def escape(text, format):
    """Put a backslash before what the format would take for markup."""
    return re.sub(_SPECIAL[format], r"\\\1", text) if format in _SPECIAL else text


def bold(text, is_bold, format):
    """Make a number bold; in plain text it gets a star, the others a space to stay in line."""
    if format == "text":
        return text + ("*" if is_bold else " ")
    return f"**{text}**" if is_bold else text


def code(text, format):
    """Set a name in typewriter letters."""
    return {"markdown": f"`{text}`", "rst": f"``{text}``", "text": text}[format]


def wrap(text, format, width=100):
    """Break a paragraph into lines, and escape what is no markup."""
    text = escape(text, format) if format != "text" else text
    return textwrap.fill(text, width, break_on_hyphens=False, break_long_words=False)


def render(frame, format):
    """Write a table whose cells are text already.

    Parameters
    ----------
    frame : pandas.DataFrame
        The first column is aligned left, the others right.
    format : {"markdown", "rst", "text"}
        How to write it.

    Returns
    -------
    str
        Lines of equal columns, without a line break at the end.
    """
    rows = [[str(cell) for cell in row] for row in (frame.columns, *frame.to_numpy())]
    rows = [[escape(row[0], format), *row[1:]] for row in rows]
    rows[0] = [escape(cell, format) if k else cell for k, cell in enumerate(rows[0])]
    if format == "text" and "mean" in frame:
        rows[0][list(frame.columns).index("mean")] += " "  # numbers end before their star
    widths = [max(3, *(len(row[k]) for row in rows)) for k in range(frame.shape[1])]
    lines = [
        [cell.rjust(width) if k else cell.ljust(width) for k, (cell, width) in enumerate(pairs)]
        for pairs in (zip(row, widths, strict=True) for row in rows)
    ]
    if format == "markdown":
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:]))
    if format == "rst":
        rule = "  ".join("=" * width for width in widths)
        head, *body = ("  ".join(line).rstrip() for line in lines)
        return "\n".join([rule, head, rule, *body, rule])
    head, *body = ("  ".join(line).rstrip() for line in lines)
    return "\n".join([head, "-" * max(map(len, (head, *body))), *body])

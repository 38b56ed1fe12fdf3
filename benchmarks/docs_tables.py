"""Put results of other benchmarks into the documentation.

What they wrote as Markdown goes between its markers in a page; figures are never copied by hand::

    python benchmarks/docs_tables.py
"""

import re
from pathlib import Path

from markers import write_between_markers

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
PAGES = {
    "event_related": "benchmark.rst",
    "ablation": "benchmark.rst",
    "ablation_fists": "benchmark.rst",
    "near_eyes": "benchmark.rst",
    "recorded_maps": "explanations.rst",
}


def to_rst(markdown):
    """Turn the Markdown of our results, paragraphs and tables, into reStructuredText."""
    blocks, table = [], []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            table.append([_inline(cell.strip()) for cell in line.strip("|").split("|")])
            continue
        if table:
            head, _, *rows = table
            lines = [", ".join(f'"{cell}"' for cell in row) for row in (head, *rows)]
            blocks += [".. csv-table::", "   :header-rows: 1", "", *(f"   {one}" for one in lines)]
            table = []
        # Sections of a page have a level that only the page knows.
        blocks.append(f"**{line.lstrip('# ')}**" if line.startswith("#") else _inline(line))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(blocks)).strip() + "\n"


def _inline(text):
    return re.sub(r"`([^`]+)`", r"``\1``", text)


def main():
    for name, page in PAGES.items():
        path = HERE / "results" / f"{name}.md"
        if path.exists():
            text = to_rst(path.read_text(encoding="utf-8"))
            write_between_markers(DOCS / page, name.replace("_", "-"), text)


if __name__ == "__main__":
    main()

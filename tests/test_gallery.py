"""The gallery's examples are run by Sphinx; here they are only read."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).parent.parent.glob("docs/examples/plot_*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_an_example_imports_exists(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    title, underline = ast.get_docstring(tree).splitlines()[:2]
    assert underline == "=" * len(title)
    imported = [
        (node.module, name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("skeegformer")
        for name in node.names
    ]
    assert imported
    for module, name in imported:
        assert hasattr(import_module(module), name), f"{module} has no {name}"

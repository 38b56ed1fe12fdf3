"""How the package is built: imports go down, and no room is reached around another."""

import ast
from pathlib import Path

import skeegformer

PACKAGE = Path(__file__).parent.parent / "skeegformer"

# From top to bottom; a module imports from its own room and from those below it. The same picture
# is in docs/contributing.rst.
ROOMS = (
    "cli",
    "evaluation",
    "selection",
    "explain",
    "plotting",
    "online",
    "io",
    "baselines",
    "classifier",
    "training",
    "attention",
    "nn",
    "preprocessing",
    "datasets",
    "_validation",
    "_utils",
)


def _modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in ("__init__", "__main__"):
            yield path, parts[0]


def _imported_rooms(path):
    """Rooms of the package that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [node.module]
            if node.module == "skeegformer":  # a public name stands for the room that it is in
                found = (alias.name for alias in node.names if alias.name != "__version__")
                names = [f"skeegformer.{skeegformer._HOMES.get(name, name)}" for name in found]
        for name in names:
            if name and name.split(".")[0] == "skeegformer":
                yield [*name.split("."), ""][1]


def test_imports_go_down():
    wrong = []
    for path, room in _modules():
        assert room in ROOMS, f"{path} is in no room"
        for other in _imported_rooms(path):
            if other not in ROOMS or ROOMS.index(other) < ROOMS.index(room):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {other or 'the top level'}")
    assert not wrong, "\n".join(wrong)


def test_the_picture_of_the_rooms_is_true():
    page = (PACKAGE.parent / "docs" / "contributing.rst").read_text(encoding="utf-8")
    places = [page.index(f"``{room}``") for room in ROOMS]
    assert places == sorted(places)


def test_modules_and_classes_can_be_read_in_one_sitting():
    long = []
    for path, _ in _modules():
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 400:
            long.append(f"{path.relative_to(PACKAGE)} has {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno >= 300:
                long.append(f"{node.name} has {node.end_lineno - node.lineno + 1} lines")
    assert not long, "\n".join(long)

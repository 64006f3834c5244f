"""Who may import whom inside the package, and what only the shim may import."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from _public import PACKAGE, module_name, syntax

ROOMS = {
    "dependence",
    "forest",
    "information",
    "online",
    "postprocessing",
    "ranking",
    "sampling",
}
GROUND = {"exceptions", "groups", "utils"}
FIRST = {"datasets", "metrics"}
TOP = {"__main__", "cli", "comparison"}
# Files of the package's root that hold no room: the version and its report.
NEUTRAL = {"_version", "_show_versions"}

MAY_IMPORT = {
    "utils": {"exceptions", "utils"},
    "exceptions": set(),
    "groups": GROUND,
    "datasets": GROUND | FIRST,
    "metrics": GROUND | {"metrics"},
    **{room: GROUND | FIRST | {room} for room in ROOMS},
}
SHIM = PACKAGE / "utils" / "_sklearn.py"
FILES = sorted(PACKAGE.rglob("*.py"))
STUBS = sorted(PACKAGE.rglob("*/__init__.pyi"))


def imported(path: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of every import anywhere in a file, relative ones resolved."""
    package = module_name(path).split(".")
    if path.stem != "__init__":
        package = package[:-1]
    found = []
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            found += [(node.lineno, f"{source}.{alias.name}") for alias in node.names]
    return found


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def forbidden_imports(path: Path) -> list[str]:
    """Imports of fairgroup that the place of the file does not allow."""
    allowed = MAY_IMPORT.get(room_of(path))
    if allowed is None:
        return []
    return [
        f"{path.name}:{line} imports {name}"
        for line, name in imported(path)
        if name.split(".")[0] == "fairgroup" and name.split(".")[1] not in allowed | NEUTRAL
    ]


def private_sklearn_imports(path: Path) -> list[str]:
    """Imports of names that scikit-learn may change at any time."""
    return [
        f"{path.name}:{line} imports {name}"
        for line, name in imported(path)
        if name.split(".")[0] == "sklearn"
        and (
            any(part.startswith("_") and part != "__version__" for part in name.split("."))
            or name.startswith("sklearn.callback")
        )
    ]


@pytest.mark.parametrize("path", [*FILES, *STUBS], ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_no_other_room(path):
    assert not forbidden_imports(path)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_shim_imports_private_names_of_sklearn(path):
    if path != SHIM:
        assert not private_sklearn_imports(path)


def test_every_folder_of_the_package_has_its_place():
    folders = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert folders <= ROOMS | GROUND | FIRST | TOP


def test_the_checks_notice_what_they_look_for(tmp_path, monkeypatch):
    room = tmp_path / "fairgroup" / "forest"
    room.mkdir(parents=True)
    file = room / "_tree.py"
    file.write_text(
        "from fairgroup.groups import GroupEncoder\n"
        "from ..online import AdaNormalHedge\n"
        "def f():\n"
        "    import fairgroup.comparison\n"
        "    from sklearn.utils._param_validation import Interval\n"
        "    from sklearn.base import BaseEstimator, _fit_context\n"
    )
    monkeypatch.setattr("_public.ROOT", tmp_path)
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "fairgroup")
    assert forbidden_imports(file) == [
        "_tree.py:2 imports fairgroup.online.AdaNormalHedge",
        "_tree.py:4 imports fairgroup.comparison",
    ]
    assert private_sklearn_imports(file) == [
        "_tree.py:5 imports sklearn.utils._param_validation.Interval",
        "_tree.py:6 imports sklearn.base._fit_context",
    ]

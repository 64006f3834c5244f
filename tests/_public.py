"""The public names, read from the stubs without importing anything, for several tests."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fairgroup"


def module_name(path: Path) -> str:
    """Dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def listed_names(path: Path) -> list[str]:
    """The literal ``__all__`` of a file."""
    for node in syntax(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def public_modules() -> list[str]:
    """Public subpackages and modules, by dotted name."""
    stubs = [p.parent for p in PACKAGE.glob("[!_]*/__init__.pyi")]
    files = [p.with_suffix("") for p in PACKAGE.glob("[!_]*.py") if p.stem != "cli"]
    return sorted(module_name(path) for path in [*stubs, *files])


def public_names() -> list[str]:
    """Dotted names of everything public that is not a module."""
    found = [f"fairgroup.{name}" for name in listed_names(PACKAGE / "__init__.pyi")]
    for module in public_modules():
        path = ROOT.joinpath(*module.split("."))
        file = path / "__init__.pyi" if path.is_dir() else path.with_suffix(".py")
        found += [f"{module}.{name}" for name in listed_names(file)]
    modules = set(public_modules())
    return sorted({name for name in found if name not in modules and "__" not in name})

"""Write the API reference: one page per public subpackage, listing what its ``__all__`` names.

A new subpackage appears by existing. Its page opens with the package's docstring; autosummary
then writes a page for every name.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import shutil
from pathlib import Path
from typing import Any

import fairgroup

FOLDER = Path("api", "generated")


def public_modules(order: list[str]) -> list[str]:
    """Return the names of the public subpackages and modules, those of ``order`` first."""
    found = {info.name for info in pkgutil.iter_modules(fairgroup.__path__)}
    found = {name for name in found if not name.startswith("_") and name not in {"utils", "cli"}}
    return [name for name in order if name in found] + sorted(found.difference(order))


def heading(value: Any) -> str:
    """Return the heading under which a public name stands."""
    if inspect.isclass(value):
        return "Classes"
    return "Functions" if callable(value) else "Constants"


def sections(module: Any) -> dict[str, list[str]]:
    """Sort the public names of a module under their headings."""
    found: dict[str, list[str]] = {"Classes": [], "Functions": [], "Constants": []}
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        if not inspect.ismodule(value):
            found[heading(value)].append(name)
    return {title: names for title, names in found.items() if names}


def page(module_name: str) -> str:
    """Return the reStructuredText of one module's page."""
    module = importlib.import_module(module_name)
    label, text = module_name.replace(".", "_"), inspect.cleandoc(module.__doc__ or "")
    lines = [f".. _api_{label}:", "", module_name, "=" * len(module_name), ""]
    lines += [f".. currentmodule:: {module_name}", "", text, ""]
    for title, names in sections(module).items():
        lines += [title, "-" * len(title), "", ".. autosummary::", "   :toctree: names", ""]
        lines += [*(f"   {name}" for name in names), ""]
    return "\n".join(lines)


def write_pages(app: Any, config: Any) -> None:
    """Write all pages before autosummary looks for its directives."""
    folder = Path(app.srcdir) / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = public_modules(config.api_order)
    for name in names:
        (folder / f"{name}.rst").write_text(page(f"fairgroup.{name}"), encoding="utf-8")
    entries = "".join(f"   generated/{name}\n" for name in names)
    (folder / "toctree.txt").write_text(f".. toctree::\n   :maxdepth: 1\n\n{entries}")


def find_pages(app: Any) -> None:
    """Let an environment kept from an earlier build see new pages before autosummary does."""
    app.env.find_files(app.config, app.builder)


def skip_inherited(app: Any, what: str, name: str, obj: Any, *_: Any) -> bool | None:
    """Leave out members that come from scikit-learn or Python: their documentation is theirs."""
    function = inspect.unwrap(getattr(obj, "fget", None) or getattr(obj, "__func__", obj))
    ours = (getattr(function, "__module__", None) or "").startswith("fairgroup")
    generated = name.startswith("set_") and name.endswith("_request")
    return True if generated or (inspect.isroutine(function) and not ours) else None


def setup(app: Any) -> dict[str, Any]:
    """Register the extension."""
    app.add_config_value("api_order", [], "env")
    app.connect("config-inited", write_pages)
    app.connect("builder-inited", find_pages, priority=400)
    app.connect("autodoc-skip-member", skip_inherited)
    return {"parallel_read_safe": True}

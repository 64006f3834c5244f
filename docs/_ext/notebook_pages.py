"""Put the executed notebooks of ``examples/notebooks`` among the pages, as they were committed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

NOTEBOOKS = Path("..", "examples", "notebooks")
FOLDER = Path("tutorials")
_INDEX = """\
Tutorials
=========

Two data sets that every paper uses, from the first table to a defended choice. The notebooks
were run on the real data and are shown as they came out; the files are in
``examples/notebooks``.

.. toctree::
   :maxdepth: 1

"""


def write_pages(app: Any, config: Any) -> None:
    """Copy the notebooks and list them."""
    folder = Path(app.srcdir) / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names = sorted(path.name for path in (Path(app.srcdir) / NOTEBOOKS).glob("*.ipynb"))
    for name in names:
        shutil.copy(Path(app.srcdir) / NOTEBOOKS / name, folder / name)
    entries = "".join(f"   {Path(name).stem}\n" for name in names)
    (folder / "index.rst").write_text(_INDEX + entries, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", write_pages)
    return {"parallel_read_safe": True}

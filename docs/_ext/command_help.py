"""Write the help of every ``fairgroup`` command to a file, for the page about the shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMANDS = ("compare", "audit", "datasets")
FOLDER = Path("_build", "commands")


def help_text(command: str) -> str:
    """Return what ``fairgroup COMMAND --help`` prints on a plain terminal of 88 columns."""
    run = subprocess.run(
        [sys.executable, "-m", "fairgroup", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "88", "NO_COLOR": "1"},
    )
    return run.stdout


def write_help(app: Any, config: Any) -> None:
    """Write one file per command; the page includes them."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for command in COMMANDS:
        (folder / f"{command}.txt").write_text(help_text(command), encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", write_help)
    return {"parallel_read_safe": True}

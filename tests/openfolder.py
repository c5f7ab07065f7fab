"""A test's own folder, for tests that are somebody else for a moment."""

from __future__ import annotations

import tempfile
from pathlib import Path


def open_to_all(folder: Path) -> Path:
    """Let everybody look into a folder of pytest's, and come as far: it and its parents are closed to all but us."""
    top = Path(tempfile.gettempdir()).resolve()
    for path in (folder, *folder.parents):
        if path == top or top not in path.parents:
            break
        path.chmod(0o755)
    return folder

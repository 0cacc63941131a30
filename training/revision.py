"""Which code this is."""

import os
import subprocess
from pathlib import Path


def revision() -> str:
    """The commit of the code, with `+` when files differ from it; without git, what HARMONIUM_REVISION says."""
    root = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, check=True)  # noqa: S607
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("HARMONIUM_REVISION") or "unknown"
    return head.stdout.decode().strip() + ("+" if changed.stdout else "")

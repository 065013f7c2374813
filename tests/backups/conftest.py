from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A small workspace with one of everything that an agent may have."""
    folder = tmp_path / "agent" / "workspace"
    (folder / "notes" / "empty").mkdir(parents=True)
    (folder / "notes" / "今日.md").write_text("夜班\n", encoding="utf-8")
    (folder / "run.sh").write_text("#!/bin/sh\necho hi\n")
    (folder / "run.sh").chmod(0o750)
    (folder / "zero").touch()
    os.link(folder / "run.sh", folder / "run-again.sh")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to("/usr/bin/python3")
    (folder / "bin" / "up").symlink_to("../notes")
    (folder / "notes").chmod(0o755)
    os.utime(folder / "zero", (1_700_000_000, 1_700_000_000))
    os.utime(folder / "notes" / "empty", (1_600_000_000, 1_600_000_000))
    return folder

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """The data folder of an agent."""
    folder = tmp_path / "agent"
    folder.mkdir()
    return folder


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A folder of ours for copies."""
    folder = tmp_path / "ours"
    folder.mkdir()
    return folder

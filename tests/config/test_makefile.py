"""The Makefile keeps its hands off an environment that belongs to another tree."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("arguments", [["-n", "run"], ["run"]])
def test_a_linked_environment_of_another_tree_is_not_emptied(tmp_path: Path, arguments: list[str]) -> None:
    other, tree = tmp_path / "other", tmp_path / "tree"
    other.mkdir()
    tree.mkdir()
    for name, text in {".made": "elsewhere", ".run": "", ".dev": "", "package": "kept"}.items():
        (other / name).write_text(text)
    shutil.copy(ROOT / "Makefile", tree)
    (tree / ".venv").symlink_to(other)

    done = subprocess.run(["make", *arguments], cwd=tree, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "rm .venv" in done.stderr
    assert sorted(path.name for path in other.iterdir()) == [".dev", ".made", ".run", "package"]

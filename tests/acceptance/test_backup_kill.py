"""``kill -9`` of a worker in the middle of a backup and of a restore: the run goes on elsewhere, nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backups.archive.journal import STAGING
from tests.processes import Watch

COMPARE = Path(__file__).parents[1] / "tools" / "manifest.py"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Enough to be in the middle of for a while."""
    folder = tmp_path / "agent" / "workspace"
    noise = random.Random(7)
    for number in range(60):
        path = folder / f"part-{number % 6}" / f"file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise.randbytes(2_000_000))
    return folder


def differences(one: Path, other: Path) -> Any:
    done = subprocess.run([sys.executable, COMPARE, one, other], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["diffs"]


@contextlib.contextmanager
def asked(watch: Watch, *arguments: str) -> Iterator[None]:
    """A command that a person gives meanwhile: the run may begin before it has said so."""
    done: list[subprocess.CompletedProcess[str]] = []
    thread = threading.Thread(target=lambda: done.append(watch.manage(*arguments)))
    thread.start()
    yield
    thread.join()
    assert done[0].returncode == 0, done[0].stderr


def test_a_worker_that_dies_in_a_backup_and_in_a_restore(watch: Watch, workspace: Path, tmp_path: Path) -> None:
    root = Path(watch.environment["WATCHBILL_DATA"]) / "backups"
    watch.beat()
    watch.worker("first", slots=1)
    watch.until(lambda: watch.manage("status").returncode == 0, every=1)
    assert watch.manage("agent", "add", "lead", "--workspace", str(workspace)).returncode == 0
    with asked(watch, "backup", "create", "--agent", "lead", "--to", str(root / "nightly"), "--no-wait"):
        watch.until(lambda: list(root.rglob("*.part")), every=0.01)
        watch.kill("first")
    assert watch.ask("backup", "ls") == []
    watch.worker("second", slots=1)
    (made,) = watch.until(lambda: watch.ask("backup", "ls"), every=0.5)
    watch.until(lambda: watch.ask("backup", "ls")[0]["state"] == "verified", every=0.5)
    assert not list(root.rglob("*.part"))
    assert len(list(root.rglob("*.tar.gz"))) == 1

    copy = tmp_path / "as-it-was"
    subprocess.run(["cp", "-a", workspace, copy], check=True)
    (workspace / "part-0" / "file-0").write_bytes(os.urandom(1000))
    with asked(watch, "backup", "restore", str(made["id"]), "--yes", "--no-wait"):
        watch.until(lambda: list(workspace.parent.glob(f"{STAGING}*/new/*")), every=0.01)
        watch.kill("second")
    assert (workspace / "part-0" / "file-0").stat().st_size == 1000, "the old tree stands"
    watch.worker("third", slots=1)
    watch.until(lambda: differences(copy, workspace) == {}, every=0.5)
    watch.until(lambda: not list(workspace.parent.glob(f"{STAGING}*")), every=0.5)
    kept = list(workspace.parent.glob("workspace.before-restore-*"))
    assert len(kept) == 1
    assert (kept[0] / "part-0" / "file-0").stat().st_size == 1000

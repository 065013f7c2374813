"""``kill -9`` between any two steps of a restore: the next start finds the old tree or the new one, never a mixture."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backups.archive import journal, rename
from backups.archive.errors import ArchiveError, RestoreBrokenError, RestoreBusyError
from backups.archive.extract import Wanted
from backups.archive.folderstore import FolderStore
from backups.archive.journal import STAGING
from backups.archive.recovery import recover
from backups.archive.restore import Order, Restoration, restore
from backups.archive.stores import Hooks
from tests.backups.test_archive_restore import NAME, W, entry, keep, made_of

NEW = {"x": "new x", "both": "new both", "folder/y": "new y"}
OLD = {"old": "old", "both": "old both", "folder/y": "old y", "folder/z": "old z"}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    made = FolderStore(tmp_path / "archives")
    keep(made, made_of(*(entry(W + name, data=text.encode(), mode=0o644) for name, text in NEW.items())))
    return made


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "volume"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    if subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(target: Path) -> None:
    for path in target.parent.iterdir() if not target.is_mount() else target.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for name, text in OLD.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)


def tree(target: Path) -> dict[str, str]:
    return {
        str(path.relative_to(target)): path.read_text()
        for path in sorted(target.rglob("*"))
        if path.is_file() and ".before-restore-" not in str(path)
    }


def dies_at(step: int, work: Callable[[], Any]) -> bool:
    """Run it in a process that is gone at this step of those that change a disk; False when it came to its end."""
    child = os.fork()
    if not child:
        _count_down(step)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def _count_down(left: int) -> None:
    count = [left]

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            count[0] -= 1
            if not count[0]:
                os._exit(9)
            return function(*args, **options)

        return call

    for name in ("mkdir", "rename", "rmdir", "unlink", "fsync", "write", "ftruncate"):
        setattr(os, name, deadly(getattr(os, name)))
    for name in ("exchange", "rename_new_at"):
        setattr(journal, name, deadly(getattr(rename, name)))


def chosen(*paths: str) -> dict[str, Any]:
    return {"wanted": Wanted(paths=tuple(tuple(path.split("/")) for path in paths))}


BOTH = {**OLD, "x": NEW["x"], "folder/y": NEW["folder/y"]}
CASES = {
    "the whole tree": ({}, NEW),
    "chosen paths": (chosen("x", "folder/y"), BOTH),
    "its files": ({"wanted": Wanted(whole=False)}, {**OLD, **NEW}),
}


@pytest.fixture(params=["folder", "volume", "without exchange"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "volume":
        mounted: Path = request.getfixturevalue("volume")
        return mounted
    if request.param == "without exchange":
        monkeypatch.setattr(rename, "exchange", lambda *_: False)
    folder = tmp_path / "home" / "workspace"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_crash_at_any_step_leaves_the_old_or_the_new(
    store: FolderStore,
    case: str,
    target: Path,
) -> None:
    options, wanted = CASES[case]
    seen: set[str] = set()
    step = 1
    while True:
        fill(target)
        died = dies_at(step, lambda: restore(store, NAME, Order(target=target, force=True, **options)))
        said = [settled.said for settled in recover(target)]
        found = tree(target)
        assert found in (OLD, wanted), (step, said)
        assert not list(target.parent.glob(f"{STAGING}*")) + list(target.glob(f"{STAGING}*")), step
        seen.add("old" if found == OLD else "new")
        if not died:
            break
        step += 1
    assert seen == {"old", "new"}
    assert step > 15


def test_what_was_cut_off_after_it_was_in_place_stays(store: FolderStore, tmp_path: Path) -> None:
    target = tmp_path / "home" / "workspace"
    target.mkdir(parents=True)
    fill(target)
    work = Restoration(store, NAME, Order(target=target, force=True), Hooks())
    work.stage()
    kept = work.place().kept
    work._open.close()  # as the kernel closes what a dead process had open
    (settled,) = recover(target)
    assert settled.stays
    assert f"it stays; the former tree is in {kept}" in settled.said
    assert tree(target) == NEW
    assert kept is not None
    assert (kept / "old").read_text() == "old"


def test_a_restore_that_is_no_good_is_taken_back(store: FolderStore, tmp_path: Path) -> None:
    target = tmp_path / "home" / "workspace"
    target.mkdir(parents=True)
    fill(target)
    with Restoration(store, NAME, Order(target=target, force=True), Hooks()) as work:
        work.stage()
        work.place()
        assert tree(target) == NEW
        work.undo()
        work.finish()
    assert tree(target) == OLD
    assert [path.name for path in target.parent.iterdir()] == ["workspace"]


def test_two_at_once_do_not_meet(store: FolderStore, tmp_path: Path) -> None:
    target = tmp_path / "home" / "workspace"
    with Restoration(store, NAME, Order(target=target), Hooks()) as work:
        work.stage()
        with pytest.raises(RestoreBusyError, match="another process"):
            restore(store, NAME, Order(target=target))
        with pytest.raises(RestoreBusyError):
            recover(target)
        work.place()
        work.finish()
    assert tree(target) == NEW


def test_another_folders_restore_is_left_alone(store: FolderStore, tmp_path: Path) -> None:
    one, other = tmp_path / "home" / "one", tmp_path / "home" / "other"
    with Restoration(store, NAME, Order(target=one), Hooks()) as work:
        work.stage()
        restore(store, NAME, Order(target=other))
        assert recover(other) == []
        work.place()
        work.finish()
    assert tree(one) == tree(other) == NEW


@pytest.mark.parametrize("text", ["{", "[]", '{"target": "TARGET", "staging": "s", "steps": [{"source": 1}]}', "UP"])
def test_a_journal_that_an_agent_wrote_leads_nowhere(tmp_path: Path, text: str) -> None:
    target = tmp_path / "home" / "workspace"
    target.mkdir(parents=True)
    up = '{"source": "../../evil", "destination": "x", "inode": 1}'
    text = f'{{"target": "TARGET", "staging": "s", "phase": "moving", "steps": [{up}]}}' if text == "UP" else text
    staging = target.parent / f"{STAGING}evil"
    staging.mkdir()
    (staging / "journal.json").write_text(text.replace("TARGET", str(target)))
    with pytest.raises(RestoreBrokenError, match="can't be read"):
        recover(target)


def test_companions_of_a_database_go_with_the_old_one(tmp_path: Path) -> None:
    """A write-ahead log beside a database that it does not belong to would damage it."""
    store = FolderStore(tmp_path / "archives")
    keep(store, made_of(entry("agentx.db", data=b"new"), top=False))
    target = tmp_path / "data"
    target.mkdir()
    for name in ("agentx.db", "agentx.db-wal", "agentx.db-shm", "portagent.db-wal"):
        (target / name).write_text("old")
    done = restore(store, NAME, Order(target=target, force=True, top="", wanted=Wanted(whole=False)))
    assert sorted(path.name for path in target.iterdir()) == ["agentx.db", "portagent.db-wal"]
    assert done.kept is not None
    assert sorted(path.name for path in done.kept.iterdir()) == ["agentx.db", "agentx.db-shm", "agentx.db-wal"]


def test_chosen_paths_bring_the_folders_that_are_missing(store: FolderStore, tmp_path: Path) -> None:
    target = tmp_path / "home" / "workspace"
    target.mkdir(parents=True)
    restore(store, NAME, Order(target=target, force=True, **chosen("folder/y")))
    assert tree(target) == {"folder/y": "new y"}
    with pytest.raises(ArchiveError, match="holds no nothing/here"):
        restore(store, NAME, Order(target=target, force=True, **chosen("x", "nothing/here")))
    assert tree(target) == {"folder/y": "new y"}

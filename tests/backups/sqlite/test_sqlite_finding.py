"""Which files of a data folder are databases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backups.archive.errors import PlaceRefusedError
from backups.sqlite import finding
from backups.sqlite.errors import DatabaseMissingError, NotADatabaseError
from backups.sqlite.finding import find_databases
from tests.backups.sqlite.agent_life import make_accounts

PORTAGENT = Path(__file__).parents[2] / "cases" / "portagent-1.9.0"


def paths(root: Path) -> list[str]:
    return [each.path for each in find_databases(root).databases]


def test_the_three_databases_of_portagent() -> None:
    found = find_databases(PORTAGENT).databases
    assert [(each.path, each.size, each.journal_mode) for each in found] == [
        ("data/agentx.db", 16384, "delete"),
        ("data/portagent.db", 32768, "delete"),
        ("data/queue.db", 32768, "wal"),
    ]


def test_the_header_decides_not_the_name_alone(agent: Path) -> None:
    make_accounts(agent / "a.sqlite3", 3)
    make_accounts(agent / "b.data", 3)
    (agent / "c.db").write_bytes(b"encrypted!" * 500)
    (agent / "a.sqlite3-wal").write_bytes(b"x")
    (agent / "fresh.sqlite").touch()
    assert paths(agent) == ["a.sqlite3", "fresh.sqlite"]
    (note,) = find_databases(agent).notes
    assert note.startswith("c.db: ")
    assert "encrypted" in note


def test_links_fifos_and_folders_with_such_names_are_left_out(agent: Path, tmp_path: Path) -> None:
    make_accounts(tmp_path / "other.db", 3)
    (agent / "file.db").symlink_to(tmp_path / "other.db")
    (agent / "folder").symlink_to(tmp_path)
    os.mkfifo(agent / "pipe.db")
    (agent / "nested.db").mkdir()
    make_accounts(agent / "nested.db" / "in.db", 3)
    assert paths(agent) == ["nested.db/in.db"]
    assert find_databases(agent).notes == ("file.db: a link, which is not followed", "pipe.db: not a regular file")


def test_depth_and_number_are_bounded(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = agent
    for _ in range(finding.MOST_LEVELS + 1):
        deep /= "d"
    deep.mkdir(parents=True)
    make_accounts(deep / "deep.db", 1)
    make_accounts(agent / "a.db", 1)
    assert paths(agent) == ["a.db"]
    assert "folders deep" in find_databases(agent).notes[0]
    monkeypatch.setattr(finding, "MOST_ENTRIES", 1)
    assert "was not looked at" in find_databases(agent).notes[0]


def test_chosen_paths_must_be_databases_below_the_folder(agent: Path, tmp_path: Path) -> None:
    make_accounts(agent / "b.data", 3)
    (agent / "c.db").write_bytes(b"encrypted!" * 500)
    make_accounts(tmp_path / "other.db", 3)
    (agent / "up").symlink_to("..")
    root = os.open(agent, os.O_RDONLY)
    assert [each.path for each in find_databases(root, chosen=["b.data", "b.data"]).databases] == ["b.data"]
    os.close(root)
    with pytest.raises(NotADatabaseError, match=r"c\.db.*SQLCipher"):
        find_databases(agent, chosen=["c.db"])
    for refused in ("../other.db", "/etc/passwd", "", "a\0b"):
        with pytest.raises(PlaceRefusedError, match="not a path below"):
            find_databases(agent, chosen=[refused])
    for missing in ("up/other.db", "gone.db"):
        with pytest.raises(DatabaseMissingError, match="a link is on the way"):
            find_databases(agent, chosen=[missing])

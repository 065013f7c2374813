"""What is left of a damaged database is recovered, honestly counted, and nothing is invented."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.sqlite.checking import check_copy
from backups.sqlite.errors import RecoveryFailedError
from backups.sqlite.pagemap import HIGHEST, LOWEST, PageMap, merged
from backups.sqlite.rangereading import read_around
from backups.sqlite.recoverprogram import recovering_program
from backups.sqlite.recovery import Recovered, recover_database
from tests.backups.sqlite.agent_life import rows_of

PAGE = 1024
TABLES = ("plain", "sparse", "long", "keyed", "counted")


def make(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA page_size={PAGE}")
        connection.executescript("""
            CREATE TABLE plain(id INTEGER PRIMARY KEY, text TEXT NOT NULL, number REAL);
            CREATE TABLE sparse(text TEXT);
            CREATE TABLE long(id INTEGER PRIMARY KEY, text TEXT);
            CREATE TABLE keyed(a TEXT, b INTEGER, c, PRIMARY KEY(a, b DESC)) WITHOUT ROWID;
            CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT);
            CREATE UNIQUE INDEX by_text ON plain(text);
            CREATE VIEW few AS SELECT * FROM plain WHERE id < 10;
            CREATE TRIGGER t AFTER INSERT ON plain BEGIN DELETE FROM sparse; END;
            PRAGMA user_version = 41; PRAGMA application_id = 42;
        """)
        dice = random.Random(1)
        connection.execute("DROP TRIGGER t")
        connection.executemany(
            "INSERT INTO plain VALUES(?, ?, ?)",
            [(n, f"row {n} " * 5, float(n)) for n in range(1, 3000)],
        )
        rowids = sorted({dice.randrange(LOWEST, HIGHEST) for _ in range(800)})
        connection.executemany("INSERT INTO sparse(rowid, text) VALUES(?, ?)", [(n, f"{n}" * 3) for n in rowids])
        connection.executemany("INSERT INTO long VALUES(?, ?)", [(n, f"{n} " * 900) for n in range(1, 60)])
        connection.executemany("INSERT INTO keyed VALUES(?, ?, ?)", [(f"k{n % 50}", n, b"x" * 20) for n in range(900)])
        connection.executemany("INSERT INTO counted(text) VALUES(?)", [(f"c{n}",) for n in range(500)])
        connection.execute("DELETE FROM counted WHERE id > 400")
        connection.execute("CREATE TRIGGER t AFTER INSERT ON plain BEGIN DELETE FROM sparse; END")


def all_rows(path: Path) -> dict[str, set[tuple[object, ...]]]:
    found = {}
    for table in TABLES:
        rowid = "" if table == "keyed" else "rowid AS r, "
        found[table] = set(rows_of(path, f"SELECT {rowid}* FROM {table} NOT INDEXED"))  # noqa: S608
    return found


def damage(path: Path, pages: list[int], dice: random.Random) -> None:
    with path.open("r+b") as file:
        for page in pages:
            start = dice.randrange(PAGE - 1)
            length = dice.choice([1, 8, PAGE - start])
            file.seek((page - 1) * PAGE + start)
            file.write(dice.randbytes(min(length, PAGE - start)))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "a.db"
    make(path)
    return path


@pytest.fixture(scope="module")
def pages_of(sound: Path) -> dict[str, dict[str, set[int]]]:
    """Pages by table and type, as SQLite itself counts them."""
    found: dict[str, dict[str, set[int]]] = {table: {} for table in TABLES}
    for name, page, kind in rows_of(sound, "SELECT name, pageno, pagetype FROM dbstat"):
        if name in found:
            found[str(name)].setdefault(str(kind), set()).add(int(str(page)))
    return found


def leaf_of(sound: Path, table: str) -> PageMap:
    ((root,),) = rows_of(sound, f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'")  # noqa: S608
    descriptor = os.open(sound, os.O_RDONLY)
    pages = PageMap(descriptor, PAGE)
    pages.walk(int(str(root)))
    os.close(descriptor)
    pages.leaves[0] = pages.leaves[int(str(root))]
    return pages


def page_holding(pages: PageMap, rowid: int) -> int:
    return next(node.page for node in pages.leaves[0] if node.low <= rowid <= node.high)


def test_a_sound_database_is_recovered_whole(sound: Path, ours: Path) -> None:
    before = sound.read_bytes()
    done = recover_database(sound, ours / "new.db")
    assert done.whole, done
    assert all_rows(ours / "new.db") == all_rows(sound)
    schema = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
    assert rows_of(ours / "new.db", schema) == rows_of(sound, schema)
    for pragma in ("user_version", "application_id", "page_size", "encoding"):
        assert rows_of(ours / "new.db", f"PRAGMA {pragma}") == rows_of(sound, f"PRAGMA {pragma}")
    assert rows_of(ours / "new.db", "SELECT * FROM sqlite_sequence") == [("counted", 500)]
    assert check_copy(ours / "new.db", level="integrity").ok
    assert sound.read_bytes() == before
    assert [each.name for each in sound.parent.iterdir()] == ["a.db"]
    assert [each.name for each in ours.iterdir()] == ["new.db"]


def test_the_page_map_finds_the_leaves_that_sqlite_counts(
    sound: Path, pages_of: dict[str, dict[str, set[int]]]
) -> None:
    for table in ("plain", "sparse", "long", "counted"):
        nodes = leaf_of(sound, table).leaves[0]
        assert {node.page for node in nodes} == pages_of[table]["leaf"]
        assert all(node.trusted for node in nodes)
        assert merged([(node.low, node.high) for node in nodes]) == [(LOWEST, HIGHEST)]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 12))
def test_nothing_is_invented_and_nothing_lost_that_could_be_read(
    seed: int,
    count: int,
    sound: Path,
    pages_of: dict[str, dict[str, set[int]]],
) -> None:
    dice = random.Random(seed)
    last = sound.stat().st_size // PAGE
    pages = dice.sample(range(2, last + 1), count)
    with tempfile.TemporaryDirectory() as folder:
        damaged = Path(folder) / "a.db"
        damaged.write_bytes(sound.read_bytes())
        damage(damaged, pages, dice)
        done = recover_database(damaged, Path(folder) / "new.db")
        assert check_copy(Path(folder) / "new.db", level="integrity").ok
        recovered = all_rows_of_what_is_there(Path(folder) / "new.db", done)
    original = all_rows(sound)
    for table in ("plain", "sparse", "long", "counted"):
        lost = next(each.lost for each in done.tables if each.name == table)
        leaves, hit = leaf_of(sound, table), Hit(pages_of[table], set(pages))
        assert_honest(original[table], recovered[table], leaves=leaves, hit=hit, lost=lost)
    if not set(pages) & set().union(*pages_of["keyed"].values()):
        assert recovered["keyed"] == original["keyed"]


def all_rows_of_what_is_there(path: Path, done: Recovered) -> dict[str, set[tuple[object, ...]]]:
    found = all_rows(path)
    counts = {table.name: table.rows for table in done.tables}
    assert counts == {name: len(rows) for name, rows in found.items()}
    return found


class Hit:
    """Which of a table's pages were damaged."""

    def __init__(self, pages: dict[str, set[int]], damaged: set[int]) -> None:
        self.damaged = damaged
        self.overflow = bool(pages.get("overflow", set()) & damaged)
        self.inside = bool(pages.get("internal", set()) & damaged)


def assert_honest(
    original: set[tuple[object, ...]],
    recovered: set[tuple[object, ...]],
    *,
    leaves: PageMap,
    hit: Hit,
    lost: tuple[tuple[int, int], ...],
) -> None:
    for row in recovered - original:  # changed, so it lay on a damaged page
        assert page_holding(leaves, int(str(row[0]))) in hit.damaged or hit.overflow, row
    for row in original - recovered:
        rowid = int(str(row[0]))
        if page_holding(leaves, rowid) in hit.damaged or hit.overflow:
            continue
        assert hit.inside, row
        assert any(low <= rowid <= high for low, high in lost), (rowid, lost)


def test_a_damaged_page_in_the_middle_loses_its_own_rows_only_and_they_are_told(sound: Path, ours: Path) -> None:
    node = leaf_of(sound, "plain").leaves[0][20]
    (ours / "a.db").write_bytes(sound.read_bytes())
    with (ours / "a.db").open("r+b") as file:
        file.seek((node.page - 1) * PAGE)
        file.write(b"\xff" * PAGE)
    done = recover_database(ours / "a.db", ours / "new.db")
    plain = done.tables[0]
    assert (plain.name, plain.lost, plain.rows) == (
        "plain",
        ((node.low, node.high),),
        2999 - (node.high - node.low + 1),
    )
    assert not done.whole
    assert all(table.whole for table in done.tables[1:])


def test_an_interior_page_that_leads_into_another_table_brings_no_rows_of_that(sound: Path, ours: Path) -> None:
    (ours / "a.db").write_bytes(sound.read_bytes())
    roots = dict(rows_of(sound, "SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"))
    counted_leaf = leaf_of(sound, "counted").leaves[0][-1].page
    with (ours / "a.db").open("r+b") as file:  # the rightmost child of `plain`
        file.seek((int(str(roots["plain"])) - 1) * PAGE + 8)
        file.write(counted_leaf.to_bytes(4, "big"))
    recover_database(ours / "a.db", ours / "new.db")
    assert all_rows(ours / "new.db")["plain"] < all_rows(sound)["plain"]


def test_a_truncated_file_keeps_what_is_there(sound: Path, ours: Path) -> None:
    (ours / "a.db").write_bytes(sound.read_bytes()[: sound.stat().st_size * 2 // 3])
    done = recover_database(ours / "a.db", ours / "new.db")
    assert 0 < sum(table.rows for table in done.tables) < sum(map(len, all_rows(sound).values()))
    for name, rows in all_rows(ours / "new.db").items():
        assert rows <= all_rows(sound)[name]


def test_without_its_first_page_it_says_what_can_be_done(sound: Path, ours: Path) -> None:
    for content in (b"\xff" * PAGE, sound.read_bytes()[:100] + b"\xff" * (PAGE - 100)):
        (ours / "a.db").write_bytes(content + sound.read_bytes()[PAGE:])
        with pytest.raises(RecoveryFailedError, match=r"Restore the newest verified backup.*\.recover"):
            recover_database(ours / "a.db", ours / "new.db")
        assert not (ours / "new.db").exists()


def test_debians_sqlite3_says_that_it_can_not_recover() -> None:
    if not Path("/etc/debian_version").exists() or shutil.which("sqlite3") != "/usr/bin/sqlite3":
        pytest.skip("another sqlite3 than Debian's, or none")
    if "ENABLE_DBPAGE_VTAB" in subprocess.check_output(["sqlite3", ":memory:", "PRAGMA compile_options"], text=True):
        pytest.skip("this one can")
    assert recovering_program() is None


def test_a_program_that_can_recover_is_used_when_the_first_page_is_gone(
    sound: Path,
    ours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stand-in for a program that no package here has: it says what .recover says, and an attack."""
    program = tmp_path / "bin" / "sqlite3"
    program.parent.mkdir()
    program.write_text(f"""#!/bin/sh
case "$*" in *probe.db*) echo "INSERT INTO probe VALUES('found-by-recover');"; exit 0;; esac
cat <<'SQL'
BEGIN;
PRAGMA writable_schema = on;
PRAGMA user_version = '41';
CREATE TABLE lost_and_found(rootpgno INTEGER, pgno INTEGER, nfield INTEGER, id INTEGER, c0, c1);
INSERT INTO lost_and_found VALUES(2, 3, 2, 1, 'two
lines; of text', 1.5);
ATTACH '{tmp_path}/victim.db' AS o;
PRAGMA journal_mode = WAL;
INSERT INTO lost_and_found VALUES(2, 3, 2, 2, x'00', NULL);
COMMIT;
SQL
""")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (ours / "a.db").write_bytes(b"\xff" * PAGE + sound.read_bytes()[PAGE:])
    done = recover_database(ours / "a.db", ours / "new.db")
    assert [(each.name, each.rows, each.whole) for each in done.tables] == [("lost_and_found", 2, False)]
    assert "2 of its statements were refused" in done.notes[0]
    assert rows_of(ours / "new.db", "SELECT c0, c1 FROM lost_and_found LIMIT 1") == [("two\nlines; of text", 1.5)]
    assert not (tmp_path / "victim.db").exists()
    assert (ours / "new.db").stat().st_mode & 0o777 == 0o600


def test_odd_values_and_names_survive(ours: Path) -> None:
    with closing(sqlite3.connect(ours / "a.db")) as connection, connection:
        connection.executescript("""
            PRAGMA encoding = 'UTF-16le';
            CREATE TABLE "o""dd"("select" TEXT, rowid, g AS (rowid || '!'), UNIQUE("select"));
            CREATE VIRTUAL TABLE words USING fts5(text);
            INSERT INTO words VALUES('a night watch');
        """)
        connection.execute("""INSERT INTO "o""dd" VALUES('夜班', x'00ff'), (NULL, 1e300), ('', 9223372036854775807)""")
    done = recover_database(ours / "a.db", ours / "new.db")
    assert done.whole, done
    everything = """SELECT _rowid_, *, typeof(rowid) FROM "o""dd" """
    assert rows_of(ours / "new.db", everything) == rows_of(ours / "a.db", everything)
    assert rows_of(ours / "new.db", "SELECT text FROM words WHERE words MATCH 'watch'") == [("a night watch",)]


def test_text_that_is_no_text_is_kept_as_it_is(ours: Path) -> None:
    with closing(sqlite3.connect(ours / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t(a TEXT, b)")
        connection.execute("INSERT INTO t VALUES(CAST(x'41ff42' AS TEXT), 'fine')")
    assert recover_database(ours / "a.db", ours / "new.db").whole
    assert rows_of(ours / "new.db", "SELECT typeof(a), hex(a), b FROM t") == [("text", "41FF42", "fine")]


def test_a_schema_that_would_reach_another_database_is_refused(ours: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(ours / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t(a)")
        connection.execute("CREATE VIEW v AS SELECT 1")
        connection.execute("PRAGMA writable_schema=ON")
        attack = f"CREATE VIEW v AS SELECT 1; ATTACH '{tmp_path}/victim.db' AS o; CREATE TABLE o.x(a)"
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'v'", (attack,))
    done = recover_database(ours / "a.db", ours / "new.db")
    assert "v can't be made anew" in done.notes[0]
    assert not (tmp_path / "victim.db").exists()


@given(bad=st.sets(st.integers(0, 30)), rowids=st.sets(st.integers(0, 3000), max_size=200))
@settings(max_examples=60, deadline=None)
def test_reading_around_takes_each_readable_row_once(bad: set[int], rowids: set[int]) -> None:
    """Pages of a hundred rowids each; reaching a bad one fails, as SQLite does."""

    def select(low: int, high: int, down: bool):  # noqa: ANN202
        pages = range(low // 100, high // 100 + 1)
        for page in reversed(pages) if down else pages:
            if page in bad:
                error = sqlite3.DatabaseError("malformed")
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
            inside = [each for each in sorted(rowids) if each // 100 == page and low <= each <= high]
            yield from ((each,) for each in (reversed(inside) if down else inside))

    taken: list[int] = []
    lost = read_around(select, lambda row: taken.append(row[0]), 0, 3099)
    readable = {each for each in rowids if each // 100 not in bad}
    assert len(taken) == len(set(taken))
    assert set(taken) <= readable
    for each in readable - set(taken):
        assert any(low <= each <= high for low, high in lost)
    assert all(any(low <= each <= high for low, high in lost) for each in rowids - readable)

"""``database.maintain``: databases are checked, counted, shrunk and watched, and nobody is surprised."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backups import maintaining
from backups.archive.errors import DiskFullError
from backups.archive.settings import S3Settings
from backups.executors.database_backup import DatabaseBackup, DatabaseBackupPayload
from backups.executors.database_maintain import DatabaseMaintain, DatabaseMaintainPayload
from backups.services.trends import WEEK, Growth, Size, growth, sizes_by_database
from backups.sqlite.errors import DatabaseBusyError
from fleet.models import Agent, Organisation
from monitoring.models import Alert
from schedules.engine.clock import database_now
from schedules.executors.base import ExecutorError, Result, Stopped
from schedules.models import Run
from tests.backups.sqlite.agent_life import make_accounts, rows_of, running, snapshot, writing
from tests.run_context import FakeContext, agent_view

PORTAGENT = Path(__file__).parents[1] / "cases" / "portagent-1.9.0" / "data"
READING = """
import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("BEGIN"); c.execute("SELECT * FROM account").fetchone()
print("ready", flush=True)
time.sleep(60)
"""
DAY = timedelta(days=1)


@pytest.fixture
def watch(tmp_path: Path, settings: Any) -> SimpleNamespace:
    real = {field.name: getattr(settings.WATCHBILL, field.name) for field in fields(settings.WATCHBILL)}
    folders = {"backup_root": tmp_path / "backups", "data_dir": tmp_path / "watchbill"}
    watch = SimpleNamespace(**real | {"s3": S3Settings()} | folders)
    settings.WATCHBILL = watch
    return watch


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "portagent" / "data"
    folder.mkdir(parents=True)
    for name in ("agentx", "portagent"):
        shutil.copy(PORTAGENT / f"{name}.db", folder)
    return folder


@pytest.fixture
def context(watch: SimpleNamespace, data: Path, transactional_db: None) -> FakeContext:
    organisation = Organisation.objects.create(slug="acme", name="Acme")
    agent = Agent.objects.create(organisation=organisation, slug="lead", state_folder=str(data.parent))
    context = FakeContext(agent_view(id=agent.pk, state_folder=str(data.parent)))
    context.organisation_id = organisation.pk
    return context


@pytest.fixture(autouse=True)
def no_scratch_left(watch: SimpleNamespace) -> Iterator[None]:
    yield
    scratch = watch.data_dir / "scratch"
    assert not scratch.exists() or list(scratch.iterdir()) == []


def run(context: FakeContext, **payload: object) -> Result:
    return DatabaseMaintain().execute(DatabaseMaintainPayload(**payload), context)


def failing(context: FakeContext, **payload: object) -> ExecutorError:
    with pytest.raises(ExecutorError) as caught:
        run(context, **payload)
    return caught.value


def backed_up(context: FakeContext, watch: SimpleNamespace) -> str:
    payload = DatabaseBackupPayload(to=str(watch.backup_root))
    return str(DatabaseBackup().execute(payload, context).details["name"])


def told_of(result: Result, path: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in result.details["databases"] if each["path"] == path)
    return found


def half_empty(path: Path, mode: str = "delete") -> None:
    make_accounts(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("DELETE FROM account WHERE id > 100")


def spoil(path: Path, page: int = 9) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(b"\xff" * 4096)


def recorded(context: FakeContext, result: Result | dict[str, Any], *, days_ago: float, status: str = "success") -> Run:
    """A former run, as the engine leaves it."""
    at = database_now() - timedelta(days=days_ago)
    return Run.objects.create(
        organisation_id=context.organisation_id,
        agent_id=context.agent.id,
        job_run_id=f"former-{days_ago}-{status}",
        trigger="schedule",
        executor="database.maintain",
        queue="backups",
        status=status,
        created_at=at,
        started_at=at,
        finished_at=at,
        result=result.details if isinstance(result, Result) else result,
    )


def former(context: FakeContext, data: Path, sizes: dict[str, int], *, days_ago: float, status: str = "success") -> Run:
    databases = [{"path": path, "size": size, "pages": size // 4096} for path, size in sizes.items()]
    return recorded(context, {"folder": str(data), "databases": databases}, days_ago=days_ago, status=status)


def test_what_portagent_holds_is_told_in_a_line_a_database(context: FakeContext, data: Path) -> None:
    shutil.copy(PORTAGENT / "queue.db", data)
    before = snapshot(data)
    result = run(context)
    assert context.text().splitlines() == [
        "agentx.db: sound, 16.0 KiB, 9 rows in 1 table (idx 4, containers 3, images 1, sessions 1)",
        "portagent.db: sound, 32.0 KiB, 3 rows in 1 table",
        "queue.db: sound, 32.0 KiB, 10 rows in 2 tables",
    ]
    assert result.summary == "3 databases are sound: 80.0 KiB in all"
    assert snapshot(data) == before, "nothing to gain, so nothing is touched"
    told = told_of(result, "agentx.db")
    assert result.details["folder"] == str(data)
    assert told["tables"] == [{"name": "kv_storage", "rows": 9, "bytes": 12288}]
    assert {each["kind"]: each["rows"] for each in told["keys"]} == {
        "idx": 4,
        "containers": 3,
        "images": 1,
        "sessions": 1,
    }
    assert (told["size"], told["pages"], told["free_pages"]) == (16384, 4, 0)
    assert (told["problems"], told["vacuumed"], told["bytes_per_day"]) == ([], False, None)
    assert told["seconds"] > 0


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_free_pages_are_given_back(mode: str, context: FakeContext, data: Path) -> None:
    half_empty(data / "a.db", mode)
    size = (data / "a.db").stat().st_size
    result = run(context, databases=["a.db"])
    told = told_of(result, "a.db")
    assert told["vacuumed"]
    assert (told["size_before"], told["size"]) == (size, (data / "a.db").stat().st_size)
    assert told["size"] < size / 5
    assert told["pages"] == told["size"] // 4096
    assert told["free_pages"] > 0, "as they were found"
    assert " → " in context.text()
    assert "1 vacuumed" in result.summary
    assert rows_of(data / "a.db", "SELECT COUNT(*) FROM account") == [(100,)]
    again = FakeContext(context.agent)
    again.organisation_id = context.organisation_id
    assert not told_of(run(again, databases=["a.db"]), "a.db")["vacuumed"]


@pytest.mark.parametrize(
    ("payload", "vacuumed"),
    [
        ({"least_gain": 0.95}, False),
        ({"least_gain": 0.5}, True),
        ({"vacuum": "never"}, False),
        ({"vacuum": "always", "least_gain": 0.95}, True),
    ],
)
def test_when_it_is_vacuumed(payload: dict[str, object], vacuumed: bool, context: FakeContext, data: Path) -> None:
    half_empty(data / "a.db")
    assert told_of(run(context, databases=["a.db"], **payload), "a.db")["vacuumed"] is vacuumed
    if not vacuumed:
        assert "% of it free" in context.text()


def test_a_database_without_a_page_is_left_alone(context: FakeContext, data: Path) -> None:
    (data / "new.db").touch()
    told = told_of(run(context, vacuum="always", databases=["new.db"]), "new.db")
    assert (told["vacuumed"], told["size"], told["tables"]) == (False, 0, [])
    assert "new.db: sound, 0 B, 0 rows in 0 tables" in context.text()


def test_a_damaged_one_fails_the_run_when_all_were_looked_at(
    context: FakeContext, data: Path, watch: SimpleNamespace
) -> None:
    make_accounts(data / "a.db")
    half_empty(data / "z.db")
    good = backed_up(context, watch)
    spoil(data / "a.db")
    before = (data / "a.db").read_bytes()
    error = failing(context)
    assert (error.code, error.retryable) == ("source_damaged", False)
    assert f"restore {good}, the newest verified backup that has it" in str(error)
    assert f"manage.py backup recover --file {data}/a.db --to {data}/a.db.recovered" in str(error)
    assert (data / "a.db").read_bytes() == before
    text = context.text()
    assert "a.db: DAMAGED, left as it is: " in text
    assert "portagent.db: sound" in text
    assert "z.db: sound" in text
    assert " → " in text, "the others were cared for"
    alert = Alert.objects.get(resolved_at=None)
    assert (alert.key, alert.severity) == ("database.damaged:lead:data/a.db", "critical")
    assert alert.detail == str(error)
    failing(context)
    alert.refresh_from_db()
    assert (alert.count, Alert.objects.count()) == (2, 1)


def test_the_alert_is_resolved_by_the_next_sound_check(context: FakeContext, data: Path) -> None:
    make_accounts(data / "a.db")
    whole = (data / "a.db").read_bytes()
    spoil(data / "a.db")
    error = failing(context)
    assert "No verified backup has it" in str(error)
    (data / "a.db").write_bytes(whole)
    run(context)
    assert not Alert.objects.filter(resolved_at=None).exists()


@pytest.mark.parametrize("content", [b"", b"\xff" * 4096], ids=["cut to nothing", "its first page written over"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_file_that_was_a_database_counts_as_damaged(
    content: bytes, alone: bool, context: FakeContext, data: Path
) -> None:
    if alone:
        (data / "portagent.db").unlink()
    recorded(context, run(context), days_ago=1)
    (data / "agentx.db").write_bytes(content)
    error = failing(context)
    assert error.code == "source_damaged"
    assert "agentx.db: DAMAGED, left as it is: it " in context.text()
    assert Alert.objects.get(resolved_at=None).key == "database.damaged:lead:data/agentx.db"
    assert (data / "agentx.db").read_bytes() == content


def test_a_database_that_is_gone_is_noted_and_damaged_no_more(context: FakeContext, data: Path) -> None:
    recorded(context, run(context), days_ago=1)
    spoil(data / "agentx.db", 1)
    failing(context)
    (data / "agentx.db").unlink()
    run(context)
    assert "Note: agentx.db is gone; the former maintenance had found it" in context.text()
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_a_vacuum_that_can_not_be_had_is_told_and_fails_only_when_it_was_asked_for(
    context: FakeContext, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_empty(data / "a.db")
    size = (data / "a.db").stat().st_size

    def refuse(*_: object, **__: object) -> None:
        raise DiskFullError("a.db was not vacuumed: free some space, then try again.")

    monkeypatch.setattr(maintaining, "vacuum_database", refuse)
    result = run(context, databases=["a.db"])
    assert "Not vacuumed: a.db was not vacuumed: free some space" in context.text()
    told = told_of(result, "a.db")
    assert (told["vacuumed"], told["size"]) == (False, size)
    assert "free some space" in told["not_vacuumed"]
    error = failing(context, databases=["a.db"], vacuum="always")
    assert (error.code, error.retryable) == ("disk_full", True)


def test_a_database_that_can_not_be_looked_at_fails_the_run_after_the_others(
    context: FakeContext, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintain = maintaining.maintain_database

    def busy(root: int, path: str, *rest: Any, **options: Any) -> Any:
        if path == "agentx.db":
            raise DatabaseBusyError("agentx.db stayed locked. Try again.")
        return maintain(root, path, *rest, **options)

    monkeypatch.setattr(maintaining, "maintain_database", busy)
    error = failing(context)
    assert (error.code, error.retryable) == ("database_busy", True)
    assert "agentx.db: NOT CHECKED: agentx.db stayed locked" in context.text()
    assert "portagent.db: sound" in context.text()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_beside_a_live_writer(mode: str, context: FakeContext, data: Path) -> None:
    make_accounts(data / "a.db")
    with writing(data / "a.db", mode) as writer:
        told = told_of(run(context, databases=["a.db"], vacuum="auto", least_gain=0), "a.db")
        assert writer.poll() is None
    assert told["problems"] == []
    with closing(sqlite3.connect(data / "a.db")) as connection:
        assert connection.execute("SELECT SUM(amount), COUNT(*) FROM account").fetchone() == (0, 2000)


def test_a_reader_that_keeps_the_file_large_is_told(context: FakeContext, data: Path) -> None:
    half_empty(data / "a.db", "wal")
    with running(READING, data / "a.db"):
        run(context, databases=["a.db"])
    assert "the file shrinks once the agent's readers are through" in context.text()


def test_it_can_be_stopped_and_does_not_write_for_a_run_that_was_taken_over(context: FakeContext, data: Path) -> None:
    half_empty(data / "a.db")
    before = snapshot(data)
    context.current = False
    with pytest.raises(Stopped):
        run(context)
    assert snapshot(data) == before
    context.stop()
    with pytest.raises(Stopped):
        run(context)
    assert snapshot(data) == before


def test_what_is_kept_of_many_tables_is_bounded(context: FakeContext, data: Path) -> None:
    with closing(sqlite3.connect(data / "a.db")) as connection, connection:
        for number in range(120):
            connection.execute(f"CREATE TABLE t{number}(a)")
        connection.execute("INSERT INTO t77 VALUES(zeroblob(50000))")
        connection.execute("CREATE TABLE kv(key, value)")
        connection.executemany("INSERT INTO kv VALUES(?, 1)", [(f"kind{number}:x",) for number in range(90)])
    told = told_of(run(context, databases=["a.db"]), "a.db")
    assert (len(told["tables"]), len(told["keys"])) == (50, 50)
    assert told["tables"][0]["name"] == "t77", "the largest first"
    assert "91 rows in 121 tables (kind0 1, " in context.text()


def test_rows_without_their_parent_are_told_and_are_no_damage(context: FakeContext, data: Path) -> None:
    with closing(sqlite3.connect(data / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE p(id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE c(p REFERENCES p)")
        connection.execute("INSERT INTO c VALUES(1), (2)")
    assert told_of(run(context, databases=["a.db"]), "a.db")["foreign_key_violations"] == 2
    assert "2 rows without the row that they refer to" in context.text()


def test_an_endless_name_still_raises_its_alert(context: FakeContext, data: Path) -> None:
    for ending in "xy":
        name = f"{'a' * 230}{ending}.db"
        make_accounts(data / name, 500)
        spoil(data / name, 5)
    failing(context)
    keys = list(Alert.objects.values_list("key", flat=True))
    assert len(set(keys)) == 2
    assert max(map(len, keys)) <= 200


def test_growth_is_told(context: FakeContext, data: Path) -> None:
    former(context, data, {"agentx.db": 4096}, days_ago=30)
    former(context, data, {"agentx.db": 8192, "portagent.db": 32768}, days_ago=6.9)
    former(context, data, {"agentx.db": 12288}, days_ago=1)
    former(context, data, {"agentx.db": 1}, days_ago=6.8, status="failed")
    recorded(context, {"folder": str(data), "databases": [{"path": "agentx.db"}]}, days_ago=6.7)
    result = run(context)
    assert "agentx.db: sound, 16.0 KiB, 9 rows in 1 table (" in context.text()
    assert "; it grew 8.0 KiB in 7 days (1.2 KiB a day)\n" in context.text()
    assert told_of(result, "agentx.db")["bytes_per_day"] == pytest.approx(8192 / 6.9, abs=1)
    assert told_of(result, "portagent.db")["bytes_per_day"] == 0
    other = FakeContext(agent_view(id=context.agent.id + 1, slug="other", state_folder=context.agent.state_folder))
    other.organisation_id = context.organisation_id
    assert "grew" not in (run(other), other.text())[1], "another agent's runs are not its own"


def test_growth_beyond_the_factor_alerts_until_it_is_over(context: FakeContext, data: Path) -> None:
    make_accounts(data / "a.db", 5000)
    size = (data / "a.db").stat().st_size
    former(context, data, {"a.db": size // 3}, days_ago=7)
    run(context, databases=["a.db"])
    assert not Alert.objects.exists(), "off unless asked for"
    run(context, databases=["a.db"], alert_factor=4)
    assert not Alert.objects.exists()
    run(context, databases=["a.db"], alert_factor=2)
    alert = Alert.objects.get(resolved_at=None)
    assert (alert.key, alert.severity) == ("database.growth:lead:data/a.db", "warning")
    assert "data/a.db grew " in alert.detail
    assert " in 7 days" in alert.detail
    run(context, databases=["a.db"], alert_factor=4)
    assert not Alert.objects.filter(resolved_at=None).exists()


@pytest.mark.parametrize(("share", "days"), [(3, 3), (20, 7)])
def test_neither_a_few_days_nor_a_few_bytes_alert(share: int, days: int, context: FakeContext, data: Path) -> None:
    make_accounts(data / "a.db", 5000 if days < 7 else 500)
    former(context, data, {"a.db": (data / "a.db").stat().st_size // share}, days_ago=days)
    run(context, databases=["a.db"], alert_factor=2)
    assert not Alert.objects.exists()


def test_only_the_newest_thirty_runs_are_read(context: FakeContext, data: Path) -> None:
    for day in range(40, 0, -1):
        former(context, data, {"a.db": day}, days_ago=day)
    sizes = sizes_by_database(agent_id=context.agent.id, folder=str(data))
    assert [each.size for each in sizes["a.db"]] == list(range(1, 31))
    assert sizes_by_database(agent_id=context.agent.id, folder="/elsewhere") == {}


@pytest.mark.parametrize("broken", [{}, [], {"folder": "F", "databases": 1}, {"folder": "F", "databases": [1]}])
def test_results_that_are_not_understood_tell_nothing(broken: Any, context: FakeContext) -> None:
    recorded(context, broken, days_ago=1)
    assert sizes_by_database(agent_id=context.agent.id, folder="F") == {}


def test_payloads(context: FakeContext, data: Path, tmp_path: Path) -> None:
    maintain = DatabaseMaintain()
    maintain.check_payload(DatabaseMaintainPayload(), agent=context.agent)
    for wrong in ({"vacuum": "maybe"}, {"least_gain": 1.1}, {"alert_factor": 1}, {"vacuum_seconds": 0}, {"keep": 1}):
        with pytest.raises(ValidationError):
            DatabaseMaintainPayload(**wrong)
    for payload in ({"source": "/etc"}, {"databases": ("../x.db",)}):
        with pytest.raises(ValueError, match=r"is not (inside of|a path below)"):
            maintain.check_payload(DatabaseMaintainPayload(**payload), agent=context.agent)
        assert failing(context, **payload).code == "place_refused"
    with pytest.raises(ValueError, match="whose databases"):
        maintain.check_payload(DatabaseMaintainPayload(), agent=None)
    for path in data.iterdir():
        path.unlink()
    assert failing(context).code == "workspace_missing"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_it_vacuums_stays_its_owners(context: FakeContext, data: Path) -> None:
    half_empty(data / "a.db")
    (data / "a.db").chmod(0o600)
    for path in (data, data / "a.db"):
        os.chown(path, 1000, 1000)
    assert told_of(run(context, databases=["a.db"]), "a.db")["vacuumed"]
    status = (data / "a.db").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1000, 1000, 0o600)


# -- growth, without a database

NOW = datetime.fromisoformat("2026-03-01T00:00Z")
AGES = st.lists(st.tuples(st.floats(0.001, 90), st.integers(0, 2**40)), max_size=30)


@given(ages=AGES, size=st.integers(0, 2**40))
def test_growth_is_since_a_week_ago_or_as_far_back_as_is_known(ages: list[tuple[float, int]], size: int) -> None:
    sizes = [Size(at=NOW - days * DAY, size=each, pages=1) for days, each in ages]
    found = growth(sizes, size=size, now=NOW)
    if not sizes:
        assert found is None
        return
    assert found is not None
    assert (found.before, found.time) in {(each.size, NOW - each.at) for each in sizes}
    weeks = [NOW - each.at for each in sizes if NOW - each.at >= WEEK]
    assert found.time == (min(weeks) if weeks else max(NOW - each.at for each in sizes))
    assert found == growth(sizes[::-1], size=size, now=NOW) or len({each.at for each in sizes}) < len(sizes)
    assert found.is_of_a_week == bool(weeks)


@given(before=st.integers(0, 2**40), after=st.integers(0, 2**40), days=st.floats(0.05, 400))
def test_a_rate_gives_back_the_growth(before: int, after: int, days: float) -> None:
    grown = Growth(before=before, after=after, time=days * DAY)
    assert grown.bytes_per_day is not None
    assert grown.bytes_per_day * (grown.time / DAY) == pytest.approx(after - before, abs=1)
    word = "grew" if after > before else "shrank" if after < before else "kept"
    assert f"x {word} " in grown.sentence("x")


@pytest.mark.parametrize(
    ("grown", "sentence"),
    [
        (Growth(before=0, after=12 * 1024**2, time=7 * DAY), "a.db grew 12.0 MiB in 7 days"),
        (Growth(before=0, after=12, time=6.97 * DAY), "a.db grew 12 B in 7 days"),
        (Growth(before=12, after=0, time=DAY), "a.db shrank 12 B in 24 hours"),
        (Growth(before=1, after=1, time=timedelta(minutes=90)), "a.db kept its size in 90 minutes"),
        (Growth(before=1, after=2, time=timedelta(seconds=3)), "a.db grew 1 B in 1 minute"),
    ],
)
def test_sentences(grown: Growth, sentence: str) -> None:
    assert grown.sentence("a.db") == sentence
    assert (grown.bytes_per_day is None) == (grown.time < timedelta(hours=1))

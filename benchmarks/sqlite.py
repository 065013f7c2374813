"""Copying a database of 500 MB in WAL mode while another process writes to it 200 times a second."""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from subprocess import PIPE, Popen

from _report import Figure, report
from _sqlite_peers import commands, timed

WRITER = Path(__file__).with_name("_sqlite_writer.py")
GOAL_RATIO, GOAL_P99_MS = 1.5, 5.0
SIZE_MB, ROUNDS, GIVE_UP, RATE = 500, 5, 15.0, 200
#: Seconds for which the writer writes alone, before a copy begins.
WARM_UP = 3.0

Peers = dict[str, list[float | None]]


@dataclass(frozen=True, kw_only=True)
class Copy:
    """Seconds of ``copy_database``, those of them in which its snapshot was held, and when it began and ended."""

    seconds: float
    held: float
    begun: float
    ended: float
    whole: bool


@dataclass(frozen=True, kw_only=True)
class Round:
    idle: Copy
    busy: Copy
    during: list[float]
    alone: list[float]


def main() -> None:
    arguments = parse()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    with tempfile.TemporaryDirectory(prefix="bench-sqlite-") as folder:
        source = make(Path(folder) / "agent.db", arguments.mb)
        print(
            f"{source.stat().st_size / 1e6:.0f} MB, {arguments.rounds} rounds, load {Path('/proc/loadavg').read_text().strip()}"
        )
        rounds, peers = measure(source, arguments)
        stalled = list(rollback(source, arguments.rounds))
    defaults = (arguments.mb, arguments.rounds, arguments.give_up) == (SIZE_MB, ROUNDS, GIVE_UP)
    report("sqlite", [*figures(rounds), *beside(rounds, peers, arguments.give_up), *stalled], write=defaults)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=SIZE_MB, help="size of the database")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--give-up", type=float, default=GIVE_UP, help="seconds after which a peer is given up")
    return parser.parse_args()


def make(path: Path, megabytes: int) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(
            "CREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER NOT NULL, filler BLOB NOT NULL)"
        )
        connection.execute("BEGIN")
        rows = megabytes * 1000
        connection.executemany("INSERT INTO account VALUES(?, 0, randomblob(960))", ((n,) for n in range(1, rows + 1)))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def measure(source: Path, arguments: argparse.Namespace) -> tuple[list[Round], Peers]:
    rounds: list[Round] = []
    peers: Peers = {}
    target = source.with_name("peer.db")
    for number in range(1, arguments.rounds + 1):
        rounds.append(one_round(source))
        with writing(source):
            for name, command in commands(source, target).items():
                peers.setdefault(name, []).append(timed(command, target, arguments.give_up))
        last = rounds[-1]
        print(
            f"round {number}: ours {last.idle.seconds:.2f} s idle, {last.busy.seconds:.2f} s under writes (snapshot "
            f"{last.idle.held:.2f} and {last.busy.held:.2f} s), writer's p99 {p99(last.during):.2f} ms of "
            f"{len(last.during)}, alone {p99(last.alone):.2f} ms; {told(peers)}",
            flush=True,
        )
    return rounds, peers


def told(peers: Peers) -> str:
    return ", ".join(
        f"{name}: {'gave up' if each[-1] is None else f'{each[-1]:.2f} s'}" for name, each in peers.items()
    )


def one_round(source: Path) -> Round:
    with closing(sqlite3.connect(source)) as agent:  # open and idle, as an agent has it
        agent.execute("SELECT 1 FROM account LIMIT 1").fetchone()
        idle = copy(source)
    with writing(source) as latencies:
        busy = copy(source)
    during = [taken for at, taken in latencies if busy.begun <= at <= busy.ended]
    alone = [taken for at, taken in latencies if at < busy.begun]
    return Round(idle=idle, busy=busy, during=during, alone=alone)


def copy(source: Path) -> Copy:
    """One copy, which is looked at after its clock stopped."""
    from backups.sqlite.copying import copy_database

    target = source.with_name("ours.db")
    begun = time.monotonic()
    copied = copy_database(source.parent, source.name, target)
    ended = time.monotonic()
    whole = consistent(target) and copied.way in {"online", "locked"}
    target.unlink()
    return Copy(seconds=ended - begun, held=copied.held, begun=begun, ended=ended, whole=whole)


def consistent(target: Path) -> bool:
    from backups.sqlite.checking import check_copy

    with closing(sqlite3.connect(f"file:{target}?mode=ro&immutable=1", uri=True)) as connection:
        (total,) = connection.execute("SELECT SUM(amount) FROM account").fetchone()
    return total == 0 and check_copy(target, level="integrity").ok


@contextmanager
def writing(source: Path) -> Iterator[list[tuple[float, float]]]:
    """A writer at work; when it has ended the list holds when each write began and how long it took, seconds."""
    latencies: list[tuple[float, float]] = []
    with Popen([sys.executable, str(WRITER), str(source), str(RATE)], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        time.sleep(WARM_UP)
        try:
            yield latencies
        finally:
            process.stdin.close()
            latencies.extend(map(tuple, json.loads(process.stdout.readline())))


def rollback(source: Path, rounds: int) -> Iterator[Figure]:
    """For how long a writer of a database with a rollback journal is kept from committing; nobody writes meanwhile."""
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    ours, peer = [], []
    for _ in range(rounds):
        ours.append(copy(source).held)
        peer.append(held_by_backup(source))
    name = "rollback journal: writers are kept from committing for, s"
    label = "backup(pages=-1) in a read transaction"
    yield Figure(name, median(ours), label, median(peer), "none", met=True)


def held_by_backup(source: Path) -> float:
    target = source.with_name("peer.db")
    with (
        closing(sqlite3.connect(source, isolation_level=None)) as connection,
        closing(sqlite3.connect(target)) as copied,
    ):
        copied.execute("PRAGMA synchronous=OFF")
        begun = time.monotonic()
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM account LIMIT 1").fetchone()
        connection.backup(copied)
        taken = time.monotonic() - begun
    target.unlink()
    return taken


def p99(latencies: list[float]) -> float:
    """Milliseconds."""
    return quantiles(latencies, n=100)[98] * 1000


def figures(rounds: list[Round]) -> Iterator[Figure]:
    idle, busy = (median(each.seconds for each in some) for some in sides(rounds))
    name = f"copy under {RATE} writes/s, median s"
    yield Figure(name, busy, "ours without a writer", idle, f"ratio <= {GOAL_RATIO}", met=busy / idle <= GOAL_RATIO)
    held, held_busy = (median(each.held for each in some) for some in sides(rounds))
    yield Figure("of it the snapshot was held, s", held_busy, "ours without a writer", held, "none", met=True)
    during = p99([each for one in rounds for each in one.during])
    alone = p99([each for one in rounds for each in one.alone])
    name = "writer's p99 while the copy is made, ms"
    yield Figure(name, during, "the writer alone", alone, f"<= {GOAL_P99_MS}", met=during <= GOAL_P99_MS)
    copies = [each for some in sides(rounds) for each in some]
    whole = sum(each.whole for each in copies)
    yield Figure("consistent copies", whole, "copies", len(copies), "all", met=whole == len(copies))


def sides(rounds: list[Round]) -> tuple[list[Copy], list[Copy]]:
    return [each.idle for each in rounds], [each.busy for each in rounds]


def beside(rounds: list[Round], peers: Peers, give_up: float) -> Iterator[Figure]:
    """Peers under the same writer. One that was given up counts with the time for which it was let run."""
    busy = median(each.busy.seconds for each in rounds)
    for name, tries in peers.items():
        gave_up = sum(each is None for each in tries)
        label = f"{name} under the writer" + (f" (given up in {gave_up} of {len(tries)})" if gave_up else "")
        taken = median(give_up if each is None else each for each in tries)
        yield Figure("copy under a writer, hash and fsync included, s", busy, label, taken, "none", met=True)


if __name__ == "__main__":
    main()

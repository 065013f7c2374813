"""From due to finished, beside Celery that only empties its queue; and how soon a run starts after `run now`.

All sides take turns on one machine; every Celery has the same pool, late ack and prefetch, and no task events.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _drain import Ours, Side, Theirs, end, in_turn
from _latency import percentile, sample
from _peers import Peer
from _place import Place, grounds, in_own_process, place
from _report import Figure, report
from _world import populate

GOAL_RAW, GOAL_RESULTS, GOAL_P50, GOAL_P99 = 0.5, 4.0, 2.0, 3.0
RAW, RESULTS, OURS = "raw Celery", "Celery with django-db results", "Watchbill"
SLOTS, SQLITE_SLOTS = 2, 4


def main() -> None:
    arguments = _arguments().parse_args()
    parts = {"postgres": on_postgres, "latency": latency, "sqlite": on_sqlite}
    figures = []
    for name in arguments.parts.split(","):
        print(f"{name}:", flush=True)
        figures += in_own_process(parts[name], arguments)
    report("runs", figures, write=arguments == _arguments().parse_args([]))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--sqlite-runs", type=int, default=3_000)
    parser.add_argument("--samples", type=int, default=100, help="of run-now, a round")
    parser.add_argument("--organisations", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", default="postgres,latency,sqlite")
    return parser


def on_postgres(arguments: argparse.Namespace) -> list[Figure]:
    with grounds(postgres=True) as ground, place(ground) as here:
        count = arguments.runs
        schedules = populate(schedules=count, organisations=arguments.organisations)
        sides: list[Side] = [
            Theirs(RAW, "raw", Peer(here.folder, broker=here.grounds.broker(1)), count=count, slots=SLOTS),
            Theirs(RESULTS, "results", _with_results(here), count=count, slots=SLOTS),
            Ours(here, schedules, count=count, slots=SLOTS),
        ]
        rates = in_turn(sides, arguments.rounds)
    name = f"{count} no-ops from due to finished, PostgreSQL, prefork -c {SLOTS}, runs/s"
    return [at_least(name, rates, RAW, GOAL_RAW), at_least(name, rates, RESULTS, GOAL_RESULTS)]


def on_sqlite(arguments: argparse.Namespace) -> list[Figure]:
    with grounds(postgres=False) as ground, place(ground) as here:
        count = arguments.sqlite_runs
        schedules = populate(schedules=count, organisations=arguments.organisations)
        peer = Peer(here.folder, broker=here.grounds.broker(1))
        sides: list[Side] = [
            Theirs(RAW, "raw", peer, count=count, slots=SQLITE_SLOTS),
            Ours(here, schedules, count=count, slots=SQLITE_SLOTS),
        ]
        rates = in_turn(sides, arguments.rounds)
        locked = sum(_locked(log) for log in here.folder.glob("*.log"))
    name = f"{count} no-ops from due to finished, SQLite, prefork -c {SQLITE_SLOTS}, runs/s"
    return [
        at_least(name, rates, RAW, GOAL_RAW),
        Figure("lines 'database is locked' in the logs, SQLite", locked, "", 0, "0", met=locked == 0),
    ]


def at_least(name: str, rates: dict[str, float], peer: str, goal: float) -> Figure:
    return Figure(name, rates[OURS], peer, rates[peer], f">= {goal} x peer", met=rates[OURS] >= goal * rates[peer])


def _locked(log: Path) -> int:
    return log.read_text(errors="replace").count("database is locked")


def _with_results(here: Place) -> Peer:
    database = here.grounds.create_database("peer")
    peer = Peer(here.folder, broker=here.grounds.broker(2), database=database)
    peer.run("-m", "django", "migrate", "-v", "0")
    return peer


def latency(arguments: argparse.Namespace) -> list[Figure]:
    """From the call in this process to the first line of work in an idle worker."""
    with grounds(postgres=True) as ground, place(ground) as here:
        peer = Peer(here.folder, broker=here.grounds.broker(1))
        here.worker(slots=SLOTS)
        here.beat()
        bare = peer.worker("raw", slots=SLOTS)
        try:
            ours, raw = _sampled(here, arguments)
        finally:
            end(bare)
    return [
        _at_most(
            f"run now to start, PostgreSQL, p{percent}, ms", percentile(ours, percent), percentile(raw, percent), goal
        )
        for percent, goal in ((50, GOAL_P50), (99, GOAL_P99))
    ]


def _sampled(here: Place, arguments: argparse.Namespace) -> tuple[list[float], list[float]]:
    from celery import Celery

    from fleet.actors import Actor
    from fleet.models import Organisation
    from schedules.services.runs import run_now
    from schedules.services.schedules import schedule_create

    traces = here.folder / "ours.trace", here.folder / "raw.trace"
    actor, peer = Actor.command("benchmark"), Celery("asking", broker=here.grounds.broker(1), set_as_current=False)
    organisation, payload = Organisation.objects.get(), {"trace": str(traces[0])}
    schedule = schedule_create(
        organisation=organisation, actor=actor, name="noop", executor="test.noop", payload=payload
    )
    ours: list[float] = []
    raw: list[float] = []
    for number in range(1, arguments.rounds + 1):
        ours += sample(lambda: run_now(schedule=schedule, actor=actor), traces[0], count=arguments.samples)
        raw += sample(
            lambda: peer.send_task("peer.trace", [str(traces[1])], queue="peer"), traces[1], count=arguments.samples
        )
        print(f"  round {number}: p50 {percentile(ours, 50):.1f} ms beside {percentile(raw, 50):.1f} ms", flush=True)
    return ours, raw


def _at_most(name: str, ours: float, raw: float, goal: float) -> Figure:
    return Figure(name, ours, RAW, raw, f"<= {goal} x peer", met=ours <= goal * raw)


if __name__ == "__main__":
    main()

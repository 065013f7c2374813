"""``job why``: what became of a fire, and how a job stands."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from schedules.console.job.settings import read_time
from schedules.engine.clock import database_now
from schedules.services.schedules import schedule_named
from schedules.services.why import Answer, why


class Why(Subcommand):
    name = "why"
    help = "Say why a job runs or does not: now, or what became of the fire at a time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="NAME")
        parser.add_argument("--at", default="", metavar="TIME", help="ISO 8601; without an offset in the job's zone")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        schedule = schedule_named(self.organisation(options), options["job"])
        at = read_time(options["at"], zone=schedule.timezone, field="at")
        answer = why(schedule, at=at, now=database_now())
        if options["json"]:
            screen.json(_json(answer))
        else:
            screen.data(answer.headline)
            for line in answer.details:
                screen.data(f"  {line}")
        return Exit.DONE


def _json(answer: Answer) -> dict[str, Any]:
    return {
        "reason": answer.reason,
        "headline": answer.headline,
        "details": answer.details,
        "fire": answer.fire.isoformat() if answer.fire else None,
        "run": answer.run.job_run_id if answer.run else None,
    }

"""``job backfill``: run fires of the past after all. It shows first what it would do."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any, get_args

from fleet.console import Exit, Screen, Subcommand
from schedules.console.job.settings import read_time
from schedules.models import Schedule
from schedules.services.backfills import BackfillPlan, Only, backfill_plan, backfill_start
from schedules.services.schedules import schedule_named
from schedules.words import clock

SHOWN = 5


class BackfillCommand(Subcommand):
    name = "backfill"
    help = "Run a job's fires of the past: shows them, asks, and queues them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="NAME")
        parser.add_argument(
            "--from", dest="begin", required=True, metavar="TIME", help="without an offset: the job's zone"
        )
        parser.add_argument("--to", dest="end", required=True, metavar="TIME", help="both ends are included")
        parser.add_argument("--only", choices=get_args(Only), default="unsuccessful", help="which fires (unsuccessful)")
        parser.add_argument("--at-once", type=int, default=1, metavar="N", help="its own limit, beside the job's (1)")
        parser.add_argument(
            "--overlap", choices=Schedule.Overlap.values, default="queue_all", help="among its own runs (queue_all)"
        )
        parser.add_argument("--dry-run", action="store_true", help="only show")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        schedule = schedule_named(self.organisation(options), options["job"])
        asked = {
            "schedule": schedule,
            "begin": read_time(options["begin"], zone=schedule.timezone, field="from"),
            "end": read_time(options["end"], zone=schedule.timezone, field="to", ends=True),
            "only": options["only"],
            "overlap": options["overlap"],
        }
        plan = backfill_plan(**asked)
        _show(plan, schedule, options["only"], screen)
        if options["dry_run"] or not plan.fires:
            return Exit.DONE if plan.fires else Exit.SKIPPED
        if not screen.confirm(f"Queue {len(plan.fires)} runs, {options['at_once']} at once?", yes=options["yes"]):
            screen.say("Nothing was queued.")
            return Exit.FAILURE if screen.interactive else Exit.USAGE
        backfill = backfill_start(**asked, max_concurrent_runs=options["at_once"], actor=self.actor())
        screen.data(f"b{backfill.pk}")
        screen.say(
            f"{backfill.planned} runs are queued; the beat starts them. Watch: manage.py job runs {schedule.name}"
        )
        return Exit.DONE


# Why a fire is left out, by what was asked for.
_HAVE_RUN = {"unsuccessful": "succeeded or are under way", "missing": "had a run", "all": "are under way"}


def _show(plan: BackfillPlan, schedule: Schedule, only: Only, screen: Screen) -> None:
    for fire in plan.fires[:SHOWN]:
        screen.say(f"  {_both(fire, schedule)}")
    if len(plan.fires) > SHOWN:
        screen.say(f"  … to {_both(plan.fires[-1], schedule)}")
    left_out = [f"{plan.has_run} {_HAVE_RUN[only]}"] if plan.has_run else []
    left_out += [f"{plan.overlapped} overlap"] if plan.overlapped else []
    rest = f" Left out: {', '.join(left_out)}." if left_out else ""
    screen.say(f"{len(plan.fires)} fires would be run.{rest}")


def _both(fire: datetime, schedule: Schedule) -> str:
    """In its zone and in UTC, which tells the two passes of a repeated hour apart."""
    local = clock(fire, schedule.timezone)
    return local if schedule.timezone == "UTC" else f"{local}, {fire:%H:%M:%S}Z"

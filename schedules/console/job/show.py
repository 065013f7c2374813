"""``job show``: everything about one job."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from itertools import islice
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from schedules import timing
from schedules.console.job.listing import schedule_json
from schedules.models import BlackoutCalendar, Run, Schedule
from schedules.services.preview import preview_schedule
from schedules.services.schedules import schedule_named
from schedules.words import clock, fires_text, outcome_text, span, state_text

SHOWN = 5


class Show(Subcommand):
    name = "show"
    help = "Show a job: settings, next fires, last run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="NAME")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        schedule = schedule_named(self.organisation(options), options["job"])
        last = Run.objects.filter(schedule=schedule).first()
        if options["json"]:
            screen.json(schedule_json(schedule, last) | {"next_fires": [each.isoformat() for each in _fires(schedule)]})
        else:
            screen.fields(_fields(schedule, last))
        return Exit.DONE


def _fires(schedule: Schedule) -> list[datetime]:
    return list(preview_schedule(schedule=schedule, count=SHOWN).fires.moments) if schedule.enabled else []


def _options(schedule: Schedule) -> dict[str, str]:
    """What most jobs leave alone: shown where it was set."""
    after = f"{schedule.run_after.name}, {schedule.get_run_after_on_display()}" if schedule.run_after else ""
    blackouts = BlackoutCalendar.objects.holding_for(schedule).values_list("name", flat=True)
    options = {
        "jitter": f"up to {span(schedule.jitter_seconds)}" if schedule.jitter_seconds else "",
        "starts within": span(schedule.start_within_seconds) if schedule.start_within_seconds else "",
        "not before": clock(schedule.starts_at, schedule.timezone) if schedule.starts_at else "",
        "not after": clock(schedule.ends_at, schedule.timezone) if schedule.ends_at else "",
        "ends after": f"{schedule.max_runs} runs, {schedule.planned_runs} were planned" if schedule.max_runs else "",
        "paused after": f"{schedule.pause_after_failures} failures in a row" if schedule.pause_after_failures else "",
        "runs after": after,
        "blackouts": ", ".join(blackouts),
    }
    return {name: text for name, text in options.items() if text}


def _fields(schedule: Schedule, last: Run | None) -> dict[str, str]:
    retries = "as the executor recommends" if schedule.max_retries is None else str(schedule.max_retries)
    fields = {
        "name": schedule.name,
        "display name": schedule.display_name,
        "schedule": f"{schedule.expression}   {timing.describe(schedule.expression, timezone=schedule.timezone)}",
        "state": fires_text(schedule),
        "then": ", ".join(clock(each, schedule.timezone) for each in islice(_fires(schedule), 1, None)) or "–",
        "agent": schedule.agent.slug if schedule.agent else "–",
        "executor": schedule.executor,
        "payload": json.dumps(schedule.payload, ensure_ascii=False),
        "time limit": span(schedule.timeout_seconds),
        "retries": retries,
        "at once": str(schedule.max_concurrent_runs),
        "overlap": schedule.get_overlap_display(),
        "missed fires": f"{schedule.get_misfire_display()}, up to {span(schedule.catchup_seconds)} late",
        **_options(schedule),
        "created by": schedule.created_by,
        "last run": "never",
    }
    if last:
        fields["last run"] = f"{last.job_run_id}, {state_text(last)}, {clock(last.started_at)}"
        fields["outcome"] = outcome_text(last) or "–"
    if schedule.description:
        fields["description"] = schedule.description
    return fields

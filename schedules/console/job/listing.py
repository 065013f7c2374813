"""``job ls`` and ``job runs``: what there is, one line each."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from schedules import timing
from schedules.models import Run, Schedule
from schedules.services.schedules import schedule_named
from schedules.words import clock, distance, outcome_text, span, state_text


class Ls(Subcommand):
    name = "ls"
    help = "List jobs: when they fire, how the last run went."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--query", default="", metavar="TEXT", help="only jobs whose name or description holds it")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        rows = Schedule.objects.of(organisation).search(options["query"])
        schedules, last = list(rows.select_related("agent")), rows.last_runs()
        if options["json"]:
            screen.json([schedule_json(each, last.get(each.pk)) for each in schedules])
        elif schedules:
            headers = ["NAME", "CALLED", "SCHEDULE", "NEXT", "LAST RUN", "AGENT"]
            screen.table(headers, [_row(each, last.get(each.pk)) for each in schedules])
        else:
            screen.say(_nothing(organisation.slug, options["query"]))
        return Exit.DONE


class Runs(Subcommand):
    name = "runs"
    help = "List a job's runs, newest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="NAME")
        parser.add_argument("-n", type=int, default=20, metavar="N", help="how many (20)")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        schedule = schedule_named(self.organisation(options), options["job"])
        runs = list(Run.objects.filter(schedule=schedule)[: max(1, options["n"])])
        if options["json"]:
            screen.json([run_json(run) for run in runs])
        elif runs:
            headers = ["RUN", "STATUS", "TRIGGER", "ATTEMPT", "STARTED", "TOOK", "OUTCOME"]
            screen.table(headers, [_run_row(run) for run in runs])
        else:
            screen.say(f"{schedule.name} has not run yet. Run it now: manage.py job run {schedule.name}")
        return Exit.DONE


def schedule_json(schedule: Schedule, last: Run | None) -> dict[str, Any]:
    """A schedule for a machine."""
    return {
        "name": schedule.name,
        "displayname": schedule.display_name,
        "schedule": schedule.expression,
        "words": timing.describe(schedule.expression, timezone=schedule.timezone),
        "timezone": schedule.timezone,
        "enabled": schedule.enabled,
        "paused_reason": schedule.paused_reason,
        "agent": schedule.agent.slug if schedule.agent else None,
        "executor": schedule.executor,
        "payload": schedule.payload,
        "timeout_seconds": schedule.timeout_seconds,
        "max_retries": schedule.max_retries,
        "max_concurrent_runs": schedule.max_concurrent_runs,
        "overlap": schedule.overlap,
        "misfire": schedule.misfire,
        "next_run_at": schedule.next_run_at.isoformat() if schedule.next_run_at and schedule.enabled else None,
        "last_run": run_json(last) if last else None,
    }


def run_json(run: Run) -> dict[str, Any]:
    """A run for a machine."""
    fields = (
        "job_run_id",
        "status",
        "trigger",
        "attempt",
        "duration_ms",
        "error_code",
        "error_message",
        "result_summary",
        "session_id",
        "message_id",
        "worker",
    )
    times = ("fire_at", "created_at", "next_attempt_at", "started_at", "finished_at")
    stamps = {name: moment.isoformat() if (moment := getattr(run, name)) else None for name in times}
    return {name: getattr(run, name) for name in fields} | stamps | {"result": run.result}


def _row(schedule: Schedule, last: Run | None) -> list[str]:
    fires = "disabled" if not schedule.enabled else "–"
    if schedule.enabled and schedule.next_run_at:
        fires = f"{clock(schedule.next_run_at, schedule.timezone)} ({distance(schedule.next_run_at)})"
    outcome = f"{state_text(last)}, {distance(last.created_at)}" if last else "never ran"
    words = timing.describe(schedule.expression, timezone=schedule.timezone)
    return [schedule.name, schedule.display_name, words, fires, outcome, schedule.agent.slug if schedule.agent else "–"]


def _run_row(run: Run) -> list[str]:
    took = span(run.duration_ms / 1000) if run.duration_ms is not None else "–"
    return [
        run.job_run_id,
        state_text(run),
        run.get_trigger_display(),
        str(run.attempt),
        clock(run.started_at),
        took,
        outcome_text(run).partition("\n")[0],
    ]


def _nothing(organisation: str, query: str) -> str:
    if query:
        return f"No job of {organisation} holds {query!r}. `manage.py job ls` lists all."
    return f"{organisation} has no jobs yet. `manage.py job create --help` shows how to make one."

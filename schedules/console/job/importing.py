"""``job import``: crontabs, Dkron's exports and our own YAML become jobs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput
from fleet.models import Organisation
from schedules import timing
from schedules.console.files import read_file
from schedules.console.plan_words import problems_json
from schedules.exchange import FORMATS, Refused, Source, read
from schedules.services.exchange import Imported, ImportedJob, agent_target, import_jobs
from schedules.words import clock


class Import(Subcommand):
    name = "import"
    help = "Create jobs from a crontab, a Dkron export (GET /v1/jobs) or YAML: all of the file or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="- is the standard input")
        parser.add_argument("--format", choices=FORMATS, default="", help="guessed from the content when left out")
        parser.add_argument("--timezone", default="", metavar="ZONE", help="of jobs that name none (UTC)")
        parser.add_argument("--agent", metavar="NAME", help="run what ran on the host in this agent's container")
        parser.add_argument("--system", action="store_true", help="the crontab has a user column, as /etc/crontab has")
        parser.add_argument("--dry-run", action="store_true", help="judge everything, create nothing")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        try:
            document = read(
                read_file(options["file"]),
                name=options["file"],
                kind=options["format"],
                source=_source(organisation, options),
            )
            imported = import_jobs(
                organisation=organisation, actor=self.actor(), document=document, dry_run=options["dry_run"]
            )
        except Refused as error:
            if options["json"]:
                screen.json(problems_json(error.problems))
            raise error.headed("Nothing was imported.") from error
        _show(imported, options, screen)
        return Exit.DONE


def _source(organisation: Organisation, options: dict[str, Any]) -> Source:
    agent = agent_target(organisation, options["agent"]) if options["agent"] else None
    return Source(timezone=_zone(options["timezone"]), agent=agent, system=options["system"])


def _zone(name: str) -> str:
    try:
        return timing.check_timezone(name).key if name else ""
    except timing.ExpressionError as error:
        raise InvalidInput(f"--timezone: {error}.", field="timezone") from error


def _show(imported: Imported, options: dict[str, Any], screen: Screen) -> None:
    if options["json"]:
        screen.json(_json(imported, dry_run=options["dry_run"]))
    elif imported.jobs:
        screen.table(["LINE", "NAME", "SCHEDULE", "FIRST FIRE", "AGENT"], [_row(each) for each in imported.jobs])
    for each in imported.jobs:
        for note in each.notes:
            screen.say(f"line {each.line} ({each.job.name}): {note}.")
    for note in imported.notes:
        screen.say(note)
    count = f"{len(imported.jobs)} job{'' if len(imported.jobs) == 1 else 's'}"
    if imported.blackouts:
        count += f" and {len(imported.blackouts)} blackout calendar{'' if len(imported.blackouts) == 1 else 's'}"
    screen.say(f"{count} can be imported; this was a dry run." if options["dry_run"] else f"Imported {count}.")


def _row(each: ImportedJob) -> list[str]:
    job = each.job
    words = timing.describe(job.expression, timezone=job.timezone, job_name=job.name)
    first = clock(each.next_run_at, job.timezone) if job.enabled else "paused"
    return [str(each.line), job.name, words, first, job.agent or "–"]


def _json(imported: Imported, *, dry_run: bool) -> dict[str, Any]:
    jobs = [
        {
            "name": each.job.name,
            "line": each.line,
            "next_run_at": each.next_run_at.isoformat() if each.next_run_at else None,
            "notes": list(each.notes),
        }
        for each in imported.jobs
    ]
    blackouts = list(imported.blackouts)
    return {"imported": not dry_run, "jobs": jobs, "blackouts": blackouts, "notes": list(imported.notes)}

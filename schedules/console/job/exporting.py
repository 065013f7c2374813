"""``job export``: jobs and blackout calendars as YAML that ``job apply`` and ``job import`` take."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from schedules.console.files import STANDARD, write_file
from schedules.exchange import as_json, write_yaml
from schedules.services.exchange import export_jobs


class Export(Subcommand):
    name = "export"
    help = "Write jobs as YAML, in a stable order: for a review, a backup, another watch."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("jobs", metavar="NAME", nargs="*", help="only these jobs (all)")
        parser.add_argument("--output", default=STANDARD, metavar="FILE", help="instead of the standard output")
        parser.add_argument("--json", action="store_true", help="the same for a machine")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        document = export_jobs(self.organisation(options), options["jobs"])
        if options["output"] != STANDARD:
            write_file(options["output"], write_yaml(document))
            screen.say(f"Wrote {len(document.jobs or ())} jobs to {options['output']}.")
        if options["json"]:
            screen.json(as_json(document))
        elif options["output"] == STANDARD:
            screen.data(write_yaml(document).removesuffix("\n"))
        for note in document.notes:
            screen.say(note)
        return Exit.DONE

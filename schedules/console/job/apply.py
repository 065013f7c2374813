"""``job apply``: an organisation's jobs made equal to a reviewed YAML file."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from fleet.models import Organisation
from schedules.console.files import read_file
from schedules.console.plan_words import names_text, plan_json, plan_lines, problems_json, summary
from schedules.exchange import Document, Plan, Refused, read
from schedules.models import Run
from schedules.services.exchange import apply, plan_apply


class Apply(Subcommand):
    name = "apply"
    help = "Make jobs and blackout calendars equal to a YAML file (`job export` writes one): all of it or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="- is the standard input")
        parser.add_argument("--dry-run", action="store_true", help="print the plan only")
        parser.add_argument("--prune", action="store_true", help="delete what is not in the file")
        parser.add_argument("--yes", action="store_true", help="do not ask before deleting")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        try:
            return self._applied(organisation, options, screen)
        except Refused as error:
            if options["json"]:
                screen.json(problems_json(error.problems))
            raise error.headed("Nothing was applied.") from error

    def _applied(self, organisation: Organisation, options: dict[str, Any], screen: Screen) -> int:
        document = read(read_file(options["file"]), name=options["file"], kind="yaml")
        asked = {"organisation": organisation, "actor": self.actor(), "document": document, "prune": options["prune"]}
        plan = plan_apply(**asked)
        applies = bool(plan.steps) and not options["dry_run"]
        if not options["json"]:
            _show(plan, document, screen)
        if applies and not _confirmed(organisation, plan, options, screen):
            screen.say("Nothing was applied.")
            return Exit.FAILURE if screen.interactive else Exit.USAGE
        if applies:
            apply(**asked, agreed=plan)
        if options["json"]:
            screen.json(plan_json(plan, applied=applies))
        screen.say(_ending(organisation, plan, applied=applies))
        return Exit.DONE


def _show(plan: Plan, document: Document, screen: Screen) -> None:
    for line in plan_lines(plan, document):
        screen.data(line)
    if plan.steps:
        screen.say(summary(plan))
    if plan.kept:
        screen.say(f"Not in the file, and left alone: {names_text(plan.kept)}. --prune deletes them.")


def _confirmed(organisation: Organisation, plan: Plan, options: dict[str, Any], screen: Screen) -> bool:
    names = tuple(step.name for step in plan.steps if step.action == "delete")
    if not names:
        return True
    jobs = [step.name for step in plan.steps if step.action == "delete" and step.kind == "job"]
    active = Run.objects.of(organisation).active().filter(schedule__name__in=jobs).count()
    lost = f" {active} active runs are cancelled." if active else ""
    return screen.confirm(f"Delete {names_text(names)}?{lost}", yes=options["yes"])


def _ending(organisation: Organisation, plan: Plan, *, applied: bool) -> str:
    if not plan.steps:
        return f"Nothing to do: {organisation} has what the file says."
    return "Applied." if applied else "Nothing was changed: this was a dry run."

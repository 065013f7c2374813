"""``job enable``, ``disable``, ``delete``, ``cancel`` and ``retry``."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from fleet.console import Exit, Screen, Subcommand
from schedules.models import Run
from schedules.services.runs import run_abandon, run_cancel, run_found, run_retry
from schedules.services.schedules import schedule_delete, schedule_disable, schedule_enable, schedule_named
from schedules.words import fires_text, state_text


class Enable(Subcommand):
    name = "enable"
    help = "Let a job fire again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="NAME")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        schedule = schedule_named(self.organisation(options), options["job"])
        schedule = schedule_enable(schedule=schedule, actor=self.actor())
        screen.say(f"{schedule.name} is enabled. {fires_text(schedule)}")
        return Exit.DONE


class Disable(Subcommand):
    name = "disable"
    help = "Stop a job from firing. What runs goes on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="NAME")
        parser.add_argument("--reason", default="", metavar="TEXT", help="shown wherever the job is")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        schedule = schedule_named(self.organisation(options), options["job"])
        schedule_disable(schedule=schedule, actor=self.actor(), reason=options["reason"])
        screen.say(f"{schedule.name} is disabled. Enable it again: manage.py job enable {schedule.name}")
        return Exit.DONE


class Delete(Subcommand):
    name = "delete"
    help = "Delete a job. Its runs and their logs stay; its archives are not touched."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="NAME")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        schedule = schedule_named(self.organisation(options), options["job"])
        active = Run.objects.active().filter(schedule=schedule).count()
        lost = f" {active} active runs are cancelled." if active else ""
        if not screen.confirm(f"Delete {schedule.name}?{lost}", yes=options["yes"]):
            screen.say("Nothing was deleted.")
            return Exit.FAILURE if screen.interactive else Exit.USAGE
        schedule_delete(schedule=schedule, actor=self.actor())
        screen.say(f"Deleted {schedule.name}.{lost}")
        return Exit.DONE


class Cancel(Subcommand):
    name = "cancel"
    help = "Cancel a run: at once when it waits, within seconds when it runs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job_run_id", metavar="RUN")
        parser.add_argument("--abandon", action="store_true", help="although its outside work can't be ended")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        run = run_found(self.organisation(options), options["job_run_id"])
        cancel = run_abandon if options["abandon"] else run_cancel
        run = cancel(run=run, actor=self.actor())
        screen.say(f"{run.job_run_id}: {state_text(run) if run.is_over else 'asked to end'}")
        return Exit.DONE


class Retry(Subcommand):
    name = "retry"
    help = "Run again what is over, with the same payload."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job_run_id", metavar="RUN")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        requested = run_retry(run=run_found(self.organisation(options), options["job_run_id"]), actor=self.actor())
        screen.data(requested.run.job_run_id)
        if requested.note:
            screen.say(requested.note)
        return Exit.DONE

"""``backup nightly``: the job of seed 002, ready-made."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from backups.console.backup.asking import KINDS, keep_of
from fleet.console import Exit, Screen, Subcommand
from fleet.services.agents import agent_named
from schedules import timing
from schedules.services.schedules import schedule_create
from schedules.words import fires_text

_TWO = "0 2 * * *"


class Nightly(Subcommand):
    name = "nightly"
    help = "Make the job that backs an agent up every night at two: its databases, kept for thirty days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--agent", required=True, metavar="SLUG")
        parser.add_argument("--kind", choices=sorted(KINDS), default="database")
        parser.add_argument("--schedule", default=_TWO, metavar="EXPR", help=f'when, if not "{_TWO}"')
        parser.add_argument("--to", metavar="PLACE", help="s3 (default), hot, or a folder below BACKUP_ROOT")
        parser.add_argument("--keep", metavar="RULES", help="5, or rules: last=5,daily=7,weekly=4,monthly=12,days=30")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        agent = agent_named(organisation, options["agent"])
        payload: dict[str, Any] = {"to": options["to"]} if options["to"] is not None else {}
        if options["keep"] is not None:
            payload["keep"] = keep_of(options["keep"])
        schedule = schedule_create(
            organisation=organisation,
            actor=self.actor(),
            display_name=f"{agent.slug} nightly {options['kind']} backup",
            expression=options["schedule"],
            executor=KINDS[options["kind"]],
            agent=agent,
            payload=payload,
        )
        screen.data(schedule.name)
        words = timing.describe(schedule.expression, timezone=schedule.timezone)
        screen.say(f"Created {schedule.name}: {words}. {fires_text(schedule)}")
        screen.say(f"Run it now: manage.py job run {schedule.name}")
        screen.say(
            f'Try its restores each week: manage.py job create --displayname "{agent.slug} drill" '
            f'--schedule "0 4 * * 0" --executor restore.drill --agent {agent.slug} --payload \'{{"which": "random"}}\''
        )
        return Exit.DONE

"""``backup report`` and ``backup target``: what could be brought back today, and what is expected."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from backups.services.reporting import Line, report, target_set
from fleet.console import Exit, Screen, Subcommand
from fleet.errors import InvalidInput
from fleet.services.agents import agent_named
from schedules.timing import ExpressionError
from schedules.timing.durations import duration_seconds
from schedules.words import span


class Report(Subcommand):
    name = "report"
    help = "For each agent: newest verified, newest drilled, RPO and RTO. Exit code: 0 all well, 1 something is amiss."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--agent", metavar="SLUG")
        parser.add_argument("--json", action="store_true")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        organisation = self.organisation(options)
        agent = agent_named(organisation, options["agent"]) if options["agent"] else None
        lines = report(organisation, agent=agent)
        if options["json"]:
            screen.json([_as_json(line) for line in lines])
        elif lines:
            headers = [
                "AGENT",
                "KIND",
                "OF",
                "NEWEST VERIFIED",
                "RPO (TARGET)",
                "NEWEST DRILLED",
                "RTO (TARGET)",
                "AMISS",
            ]
            screen.table(headers, [_row(line) for line in lines])
        else:
            screen.say("There are no agents yet. Add one: manage.py agent add SLUG --workspace FOLDER")
        return Exit.FAILURE if any(line.problems for line in lines) else Exit.DONE


def _row(line: Line) -> list[str]:
    return [
        line.agent,
        line.kind or "–",
        line.source or "–",
        line.verified.name if line.verified else "none",
        f"{_span(line.rpo)} ({_span(line.rpo_target)})",
        line.drilled.backup.name if line.drilled else "none",
        f"{_span(line.rto)} ({_span(line.rto_target)})",
        "; ".join(line.problems) or "–",
    ]


def _span(value: timedelta | None) -> str:
    return span(value.total_seconds()) if value is not None else "–"


def _as_json(line: Line) -> dict[str, Any]:
    def seconds(value: timedelta | None) -> float | None:
        return round(value.total_seconds(), 1) if value is not None else None

    return {
        "agent": line.agent,
        "kind": line.kind or None,
        "source": line.source or None,
        "verified": line.verified.pk if line.verified else None,
        "drilled": line.drilled.backup_id if line.drilled else None,
        "rpo_seconds": seconds(line.rpo),
        "rto_seconds": seconds(line.rto),
        "rpo_target_seconds": seconds(line.rpo_target),
        "rto_target_seconds": seconds(line.rto_target),
        "damaged": line.damaged,
        "problems": line.problems,
    }


def _duration(field: str, text: str) -> timedelta:
    try:
        return timedelta(seconds=duration_seconds(text))
    except ExpressionError:
        raise InvalidInput(f"--{field} is {text!r}: give a span such as 26h, 90m or 30s.", field=field) from None


class Target(Subcommand):
    name = "target"
    help = "Set what the report measures an agent by."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("agent", metavar="SLUG")
        parser.add_argument("--rpo", required=True, metavar="SPAN", help="how old the newest backup may be: 26h")
        parser.add_argument("--rto", required=True, metavar="SPAN", help="how long a restore may take: 5m")

    def run(self, options: dict[str, Any], screen: Screen) -> int:
        agent = agent_named(self.organisation(options), options["agent"])
        rpo, rto = (_duration(name, options[name]) for name in ("rpo", "rto"))
        target = target_set(agent=agent, rpo=rpo, rto=rto, actor=self.actor())
        screen.data(f"{agent.slug}: RPO {span(target.rpo_seconds)}, RTO {span(target.rto_seconds)}")
        return Exit.DONE

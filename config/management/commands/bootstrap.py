"""``manage.py bootstrap``: what the first start needs. It may be repeated: what exists is left alone."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from backups.status import Storage
from fleet.actors import Actor
from fleet.models import Agent, AuditEntry, Organisation
from fleet.services.agents import agent_create
from fleet.services.organisations import organisation_create, user_ensure_admin
from monitoring.status import looked
from schedules.services.schedules import schedule_create

ORGANISATION, ADMIN, DEMO = "main", "admin", "demo"
# The container of SOP-001 §4, so that its lines work as they are written.
SOP_CONTAINER = "agent"
ACTOR = Actor.system("bootstrap")

FILES = {
    "SOUL.md": "# Demo agent\n\nYou keep a small notebook and answer briefly.\n",
    "AGENTS.md": "# House rules\n\n- Write down what you learn in `memory/`.\n- Never delete a note.\n",
    "memory/2026-01-01.md": "# First day\n\nThe watch began.\n",
    "notes/ideas.txt": "Back up the notebook before it is needed.\n",
}


class Command(BaseCommand):
    help = "Create the first organisation, an admin, the SOP's agent and a demo agent with a scheduled backup."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print what was made as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        organisation = Organisation.objects.filter(slug=ORGANISATION).first()
        if organisation is None:
            organisation = organisation_create(slug=ORGANISATION, name="Main", actor=ACTOR)
        # The trail tells a first start that was cut short from a demo that somebody removed.
        if not AuditEntry.objects.filter(action="schedule.create", actor=ACTOR.label).exists():
            _demo(organisation)
        password = secrets.token_urlsafe(12)
        created = user_ensure_admin(username=ADMIN, password=password, actor=ACTOR)
        made = {
            "admin": {"username": ADMIN, "password": password if created else None},
            "organisation": ORGANISATION,
            "agent": DEMO,
            "storage": None if (storage := looked(Storage())).ok else storage.detail,
        }
        self.stdout.write(json.dumps(made) if options["json"] else _words(made))


def _demo(organisation: Organisation) -> None:
    workspace = settings.WATCHBILL.data_dir / DEMO / "workspace"
    _write_files(workspace)
    agent = _agent(organisation, DEMO, name="Demo agent", workspace_folder=str(workspace))
    if not Agent.objects.filter(container_name=SOP_CONTAINER).exists():
        _agent(organisation, SOP_CONTAINER, name="The agent of SOP-001", container_name=SOP_CONTAINER)
    schedule_create(
        organisation=organisation,
        actor=ACTOR,
        display_name="Demo Workspace Backup",
        description="Made at the first start, to show a watch at work. Change or delete it as you like.",
        expression="*/30 * * * * *",
        executor="workspace.backup",
        agent=agent,
    )


def _agent(organisation: Organisation, slug: str, **values: str) -> Agent:
    found = Agent.objects.of(organisation).filter(slug=slug).first()
    return found or agent_create(organisation=organisation, slug=slug, actor=ACTOR, **values)


def _write_files(workspace: Path) -> None:
    for name, text in FILES.items():
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text)


def _words(made: dict[str, Any]) -> str:
    admin = made["admin"]
    password = admin["password"] or "(unchanged)"
    return f"organisation {made['organisation']}, admin {admin['username']} with password {password}"

"""Organisations with agents, and short ways to call the services on them."""

from __future__ import annotations

import uuid

from fleet.actors import Actor
from fleet.models import Agent, Organisation
from schedules.exchange import Document, Plan, read, write_yaml
from schedules.services.exchange import apply, export_jobs, plan_apply

ACTOR = Actor.command("test")


def organisation_with_agents(*slugs: str) -> Organisation:
    """A new one. The container of the agent ``night`` is ``night`` in the first organisation that has it."""
    organisation = Organisation.objects.create(slug=f"org-{uuid.uuid4().hex[:12]}", name="Test")
    for slug in slugs:
        Agent.objects.create(organisation=organisation, slug=slug, container_name=slug)
    return organisation


def document(text: str) -> Document:
    return read(text.encode())


def applied(organisation: Organisation, text: str, *, prune: bool = False) -> Plan:
    """As ``job apply`` does: planned, agreed, carried out."""
    wanted = document(text)
    plan = plan_apply(organisation=organisation, actor=ACTOR, document=wanted, prune=prune)
    return apply(organisation=organisation, actor=ACTOR, document=wanted, agreed=plan, prune=prune)


def exported(organisation: Organisation) -> str:
    return write_yaml(export_jobs(organisation))


def steps(plan: Plan) -> list[str]:
    return [f"{step.action} {step.name}" for step in plan.steps]

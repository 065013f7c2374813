"""Agents: the runtimes that the watch looks after."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import ProtectedError

from fleet.actors import Actor
from fleet.audit import audit_record, changed_values, field_values
from fleet.errors import Conflict, InvalidInput, NameTaken, NotAllowed, NotFound
from fleet.models import Agent, Organisation
from fleet.names import check_slug, near
from fleet.services.races import Clash, refused_by

FIELDS = (
    "slug",
    "name",
    "runtime",
    "container_name",
    "workspace_folder",
    "state_folder",
    "base_url",
    "health_url",
    "secret_refs",
    "max_concurrent_runs",
)
# What reaches into the host, and the option of `manage.py agent edit` that sets it.
_HOST_OPTIONS = {
    "container_name": "--container NAME",
    "workspace_folder": "--workspace FOLDER",
    "state_folder": "--state FOLDER",
    "secret_refs": "--secret NAME=REF",
}
HOST_FIELDS = tuple(_HOST_OPTIONS)
_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_SECRET_REF = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+")


@transaction.atomic(durable=True)
def agent_create(*, organisation: Organisation, slug: str, actor: Actor, **values: Any) -> Agent:
    """Add an agent. ``values`` are model fields.

    Raises :class:`InvalidInput`, :class:`NameTaken` or, for what reaches into the host, :class:`NotAllowed`.
    """
    agent = Agent(organisation=organisation, slug=slug, **values)
    _refuse_host_fields(actor, slug, before=field_values(Agent(), HOST_FIELDS), after=field_values(agent, HOST_FIELDS))
    _check(agent)
    with refused_by(*_clashes(agent)):
        agent.save()
    audit_record(
        actor=actor,
        action="agent.create",
        subject=agent,
        organisation=organisation,
        after=field_values(agent, FIELDS),
    )
    return agent


@transaction.atomic(durable=True)
def agent_update(*, agent: Agent, actor: Actor, **changes: Any) -> Agent:
    """Change fields of an agent; what is not named stays. Raises as :func:`agent_create` does."""
    row = Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
    before = field_values(row, FIELDS)
    for name, value in changes.items():
        if name not in FIELDS:
            raise InvalidInput(f"An agent has no field {name!r}.", field=name)
        setattr(row, name, value)
    _refuse_host_fields(actor, row.slug, before=before, after=field_values(row, HOST_FIELDS))
    _check(row)
    with refused_by(*_clashes(row)):
        row.save(update_fields=[*changes, "updated_at"])
    old, new = changed_values(before, field_values(row, FIELDS))
    if new:
        audit_record(
            actor=actor,
            action="agent.update",
            subject=row,
            organisation=row.organisation,
            before=old,
            after=new,
        )
    return row


@transaction.atomic(durable=True)
def agent_remove(*, agent: Agent, actor: Actor) -> None:
    """Remove an agent that no schedule names. Its archives stay. Raises :class:`Conflict`."""
    audit_record(
        actor=actor,
        action="agent.remove",
        subject=agent,
        organisation=agent.organisation,
        before=field_values(agent, FIELDS),
    )
    try:
        agent.delete()
    except ProtectedError as error:
        users = ", ".join(sorted(str(each) for each in error.protected_objects)[:5])
        raise Conflict(f"{agent.slug!r} is still used by: {users}. Delete or change these first.") from error


def agent_named(organisation: Organisation, slug: str) -> Agent:
    """The organisation's agent of this slug. Raises :class:`NotFound` with a near name."""
    agent = Agent.objects.of(organisation).filter(slug=slug).first()
    if agent is None:
        known = list(Agent.objects.of(organisation).values_list("slug", flat=True))
        raise NotFound(
            f"There is no agent named {slug!r} in {organisation}.{near(slug, known)} `manage.py agent ls` lists them.",
            field="agent",
        )
    return agent


def _refuse_host_fields(actor: Actor, slug: str, *, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """A tenant that could name any container, folder or variable would reach the host's and other tenants'."""
    if actor.reaches_host:
        return
    for field, option in _HOST_OPTIONS.items():
        if before[field] != after[field]:
            raise NotAllowed(
                f"Only the operator of the host may set {field}: ask for `manage.py agent edit {slug} {option}`.",
                field=field,
            )


def _check(agent: Agent) -> None:
    check_slug(agent.slug)
    _check_unique(agent)
    if agent.container_name and not _CONTAINER.fullmatch(agent.container_name):
        raise InvalidInput(f"{agent.container_name!r} is not a container name.", field="container_name")
    for field in ("workspace_folder", "state_folder"):
        _check_folder(field, getattr(agent, field))
    for field in ("base_url", "health_url"):
        _check_url(field, getattr(agent, field))
    for name, reference in agent.secret_refs.items():
        if not isinstance(reference, str) or not _SECRET_REF.fullmatch(reference):
            raise InvalidInput(
                f"Secret {name!r} must be a reference (env:NAME or file:/run/secrets/x), never a value.",
                field="secret_refs",
            )
    if agent.max_concurrent_runs < 1:
        raise InvalidInput("The limit must be at least 1.", field="max_concurrent_runs")


def _check_unique(agent: Agent) -> None:
    others = Agent.objects.exclude(pk=agent.pk)
    if others.filter(organisation=agent.organisation, slug=agent.slug).exists():
        raise _slug_taken(agent)
    if agent.container_name and others.filter(container_name=agent.container_name).exists():
        raise _container_taken(agent)


def _clashes(agent: Agent) -> tuple[Clash, Clash]:
    return (
        Clash(constraint="agent_slug_once", column="fleet_agent.slug", refusal=_slug_taken(agent)),
        Clash(constraint="agent_container_once", column="fleet_agent.container_name", refusal=_container_taken(agent)),
    )


def _slug_taken(agent: Agent) -> NameTaken:
    return NameTaken(f"An agent named {agent.slug!r} exists already in {agent.organisation}.", field="slug")


def _container_taken(agent: Agent) -> NameTaken:
    return NameTaken(f"The container {agent.container_name!r} already belongs to an agent.", field="container_name")


def _check_folder(field: str, value: str) -> None:
    if value and (not PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts):
        raise InvalidInput(
            f"{value!r} is not an absolute folder without '..', for example /srv/agent/workspace.",
            field=field,
        )
    if value and not value.strip("/"):
        raise InvalidInput(f"{value!r} is all of the host: name the folder that is the agent's.", field=field)


def _check_url(field: str, value: str) -> None:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise InvalidInput(f"{value!r} is not an http(s) address, for example http://127.0.0.1:18789.", field=field)
    if parts.username or parts.password:
        raise InvalidInput("An address must not hold a password; use a secret reference.", field=field)

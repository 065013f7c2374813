"""The audit trail: with its change or not at all, and never altered."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction

from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import InvalidInput, NameTaken
from fleet.models import AuditEntry, Organisation
from fleet.services.agents import agent_create, agent_update
from fleet.services.organisations import organisation_create

ACTOR = Actor(kind="user", label="ann", id=7, address="127.0.0.1", reaches_host=True)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def organisation() -> Organisation:
    return organisation_create(slug="main", actor=ACTOR)


def test_a_change_says_who_what_and_from_where(organisation: Organisation) -> None:
    agent = agent_create(organisation=organisation, slug="one", actor=ACTOR, container_name="agent")
    agent_update(agent=agent, actor=ACTOR, container_name="agent-2", name="")
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.actor, entry.actor_id, entry.address) == ("agent.update", "ann", 7, "127.0.0.1")
    assert entry.before == {"container_name": "agent"}
    assert entry.after == {"container_name": "agent-2"}


def test_a_refused_change_leaves_no_entry(organisation: Organisation) -> None:
    before = AuditEntry.objects.count()
    with pytest.raises(InvalidInput):
        agent_create(organisation=organisation, slug="Not A Slug", actor=ACTOR)
    with pytest.raises(NameTaken):
        organisation_create(slug="main", actor=ACTOR)
    assert AuditEntry.objects.count() == before


def test_no_entry_outside_the_transaction_of_its_change(organisation: Organisation) -> None:
    with pytest.raises(RuntimeError):
        audit_record(actor=ACTOR, action="x", subject=organisation, organisation=organisation)


def test_it_is_append_only(organisation: Organisation) -> None:
    entry = AuditEntry.objects.get()
    with pytest.raises(PermissionDenied):
        entry.save()
    with pytest.raises(PermissionDenied):
        entry.delete()
    with pytest.raises(PermissionDenied):
        AuditEntry.objects.all().delete()
    with pytest.raises(PermissionDenied):
        AuditEntry.objects.update(actor="nobody")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE fleet_auditentry SET actor = 'nobody'")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("container_name", "-rm"),
        ("workspace_folder", "relative/folder"),
        ("workspace_folder", "/srv/../etc"),
        ("base_url", "ftp://agent"),
        ("base_url", "http://user:password@agent"),
        ("secret_refs", {"token": "the-secret-itself"}),
        ("max_concurrent_runs", 0),
    ],
)
def test_bad_fields_of_an_agent_are_named(organisation: Organisation, field: str, value: object) -> None:
    with pytest.raises(InvalidInput) as refusal:
        agent_create(organisation=organisation, slug="one", actor=ACTOR, **{field: value})
    assert refusal.value.field == field


def test_a_container_has_one_owner(organisation: Organisation) -> None:
    other = organisation_create(slug="other", actor=ACTOR)
    agent_create(organisation=organisation, slug="one", actor=ACTOR, container_name="agent")
    with pytest.raises(NameTaken):
        agent_create(organisation=other, slug="two", actor=ACTOR, container_name="agent")

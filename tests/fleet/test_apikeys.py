"""API keys: shown once, stored hashed, ended at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from fleet.actors import Actor
from fleet.errors import InvalidInput, NameTaken, NotFound
from fleet.models import ApiKey, Organisation
from fleet.services.apikeys import apikey_authenticate, apikey_create, apikey_revoke

ACTOR = Actor.command("ann")


@pytest.fixture
def organisation(db: None) -> Organisation:
    return Organisation.objects.create(slug="main", name="Main")


def test_a_key_opens_until_it_is_revoked(organisation: Organisation) -> None:
    made = apikey_create(organisation=organisation, name="ci", scopes=["schedules:read"], actor=ACTOR)
    assert apikey_authenticate(made.secret) == made.key
    assert made.secret not in str(ApiKey.objects.values())
    apikey_revoke(organisation=organisation, name="ci", actor=ACTOR)
    assert apikey_authenticate(made.secret) is None
    apikey_create(organisation=organisation, name="ci", scopes=["schedules:read"], actor=ACTOR)


@pytest.mark.parametrize("secret", ["", "wb", "wb__", "nonsense", "wb_00000000_x", "wb_\x00_x"])
def test_nonsense_opens_nothing(organisation: Organisation, secret: str) -> None:
    assert apikey_authenticate(secret) is None


def test_a_wrong_secret_behind_a_right_prefix_opens_nothing(organisation: Organisation) -> None:
    made = apikey_create(organisation=organisation, name="ci", scopes=["schedules:read"], actor=ACTOR)
    assert apikey_authenticate(made.secret[:-1] + "x") is None


def test_an_expired_key_and_a_closed_organisation(organisation: Organisation) -> None:
    made = apikey_create(
        organisation=organisation,
        name="ci",
        scopes=["schedules:read"],
        actor=ACTOR,
        expires_at=timezone.now() + timedelta(hours=1),
    )
    Organisation.objects.update(is_active=False)
    assert apikey_authenticate(made.secret) is None
    Organisation.objects.update(is_active=True)
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert apikey_authenticate(made.secret) is None


def test_refusals_name_the_field(organisation: Organisation) -> None:
    for values, field in (
        ({"name": " ", "scopes": ["schedules:read"]}, "name"),
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["schedules:fly"]}, "scopes"),
        ({"name": "a", "scopes": ["schedules:read"], "expires_at": timezone.now()}, "expires_at"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            apikey_create(organisation=organisation, actor=ACTOR, **values)  # type: ignore[arg-type]
        assert refusal.value.field == field
    apikey_create(organisation=organisation, name="ci", scopes=["schedules:read"], actor=ACTOR)
    with pytest.raises(NameTaken):
        apikey_create(organisation=organisation, name="ci", scopes=["schedules:read"], actor=ACTOR)
    with pytest.raises(NotFound):
        apikey_revoke(organisation=organisation, name="other", actor=ACTOR)

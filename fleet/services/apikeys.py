"""API keys: shown once, stored as a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import InvalidInput, NameTaken, NotFound
from fleet.models import ApiKey, Organisation
from fleet.scopes import SCOPES, unknown_scopes
from fleet.services.races import Clash, refused_by

# How stale `last_used_at` may be: a key used a thousand times a second must not write a thousand times.
USED_RESOLUTION = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class NewApiKey:
    """A key just made. ``secret`` is nowhere else: whoever asked must keep it now."""

    key: ApiKey
    secret: str


@transaction.atomic(durable=True)
def apikey_create(
    *,
    organisation: Organisation,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
    actor: Actor,
) -> NewApiKey:
    """Make a key with these scopes. Raises :class:`InvalidInput` or :class:`NameTaken`."""
    _check(name=name, scopes=scopes, expires_at=expires_at)
    if ApiKey.objects.of(organisation).filter(name=name, revoked_at=None).exists():
        raise _taken(name)
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    with refused_by(
        Clash(constraint="api_key_name_once_while_valid", column="fleet_apikey.name", refusal=_taken(name))
    ):
        key = ApiKey.objects.create(
            organisation=organisation,
            name=name,
            prefix=prefix,
            key_hash=_digest(secret),
            scopes=sorted(set(scopes)),
            expires_at=expires_at,
            created_by=actor.label,
        )
    after = {"name": name, "scopes": key.scopes, "expires_at": expires_at.isoformat() if expires_at else None}
    audit_record(actor=actor, action="apikey.create", subject=key, organisation=organisation, after=after)
    return NewApiKey(key=key, secret=f"wb_{prefix}_{secret}")


@transaction.atomic(durable=True)
def apikey_revoke(*, organisation: Organisation, name: str, actor: Actor) -> ApiKey:
    """End a key now, by its name or prefix. Raises :class:`NotFound`."""
    keys = ApiKey.objects.of(organisation).filter(revoked_at=None)
    key = keys.filter(name=name).first() or keys.filter(prefix=name.removeprefix("wb_").split("_")[0]).first()
    if key is None:
        raise NotFound(f"No valid key named {name!r}. `manage.py apikey list` shows them.", field="name")
    key.revoked_at = timezone.now()
    key.save(update_fields=["revoked_at"])
    audit_record(actor=actor, action="apikey.revoke", subject=key, organisation=organisation, before={"name": key.name})
    return key


def apikey_authenticate(secret: str) -> ApiKey | None:
    """The valid key behind ``wb_PREFIX_SECRET``, or None. Constant-time in the secret."""
    parts = secret.split("_", 2)
    if len(parts) != 3 or parts[0] != "wb":  # noqa: PLR2004 - the three parts of the format
        return None
    key = ApiKey.objects.valid().filter(prefix=parts[1]).select_related("organisation").first()
    if key is None or not hmac.compare_digest(key.key_hash, _digest(parts[2])):
        return None
    _note_use(key)
    return key


def _note_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > USED_RESOLUTION:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


def _taken(name: str) -> NameTaken:
    return NameTaken(f"A key named {name!r} exists already; revoke it or choose another name.", field="name")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _check(*, name: str, scopes: Sequence[str], expires_at: datetime | None) -> None:
    if not name.strip():
        raise InvalidInput("A key needs a name, for example 'ci'.", field="name")
    if not scopes:
        raise InvalidInput(f"A key needs at least one scope. Scopes are: {', '.join(SCOPES)}.", field="scopes")
    if unknown := unknown_scopes(list(scopes)):
        raise InvalidInput(f"Unknown scope {unknown[0]!r}. Scopes are: {', '.join(SCOPES)}.", field="scopes")
    if expires_at and expires_at <= timezone.now():
        raise InvalidInput(f"The expiry {expires_at:%Y-%m-%d %H:%M} lies in the past.", field="expires_at")

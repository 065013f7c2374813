"""Who sits at the admin, and what their roles let them do there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from fleet.actors import Actor
from fleet.models import Member
from fleet.scopes import role_scopes

MANAGERS = ("admin", "owner")
_KEPT = "_watchbill_access"


@dataclass(frozen=True, kw_only=True)
class Access:
    """A person's roles by organisation; ``everywhere`` for a superuser."""

    everywhere: bool
    roles: Mapping[int, str]

    def may(self, scope: str, organisation_id: int | None = None) -> bool:
        """Whether they hold the scope in that organisation; without one: in any."""
        if self.everywhere:
            return True
        mine = self.organisations(scope)
        return organisation_id in mine if organisation_id is not None else bool(mine)

    def organisations(self, scope: str) -> set[int]:
        """The organisations in which a role of theirs holds the scope. ``manage`` is of admins and owners."""
        return {key for key, role in self.roles.items() if scope in _scopes(role)}


def actor_of(request: HttpRequest) -> Actor:
    """The acting party of every service call that the admin makes."""
    user: Any = request.user
    address = request.META.get("REMOTE_ADDR", "") or ""
    return Actor(kind="user", label=user.get_username(), id=user.pk, address=address, reaches_host=user.is_superuser)


def access_of(request: HttpRequest) -> Access:
    """Read once a request: a changelist asks for each of its rows."""
    kept: Access | None = getattr(request, _KEPT, None)
    if kept is None:
        kept = _read(request.user)
        setattr(request, _KEPT, kept)
    return kept


def _read(user: Any) -> Access:
    if not (user.is_active and user.is_staff):
        return Access(everywhere=False, roles={})
    roles = Member.objects.filter(user_id=user.pk).values_list("organisation_id", "role")
    return Access(everywhere=user.is_superuser, roles=dict(roles))


def _scopes(role: str) -> frozenset[str]:
    return role_scopes(role) | ({"manage"} if role in MANAGERS else set())

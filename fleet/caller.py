"""Who calls the API, for which organisation, with which scopes: the one place where a request is scoped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser
from rest_framework.exceptions import NotAuthenticated, PermissionDenied, ValidationError
from rest_framework.request import Request

from fleet.actors import Actor
from fleet.models import ApiKey, Member, Organisation
from fleet.scopes import SCOPES

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ORGANISATION_HEADER = "X-Organisation"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A request's actor, the organisation it is confined to, and what it may do there."""

    organisation: Organisation
    actor: Actor
    scopes: frozenset[str]


def caller_of(request: Request) -> Caller:
    """The caller of an authenticated request.

    Raises ``NotAuthenticated``, ``PermissionDenied`` for a person without an organisation, and ``ValidationError`` for
    several organisations and none named.
    """
    address = request.META.get("REMOTE_ADDR", "") or ""
    if isinstance(request.auth, ApiKey):
        return _key_caller(request.auth, address)
    if isinstance(request.user, AnonymousUser):
        raise NotAuthenticated
    return _member_caller(request, request.user, address)


def _key_caller(key: ApiKey, address: str) -> Caller:
    actor = Actor(kind="api_key", label=f"{key.name} (wb_{key.prefix}_…)", id=key.pk, address=address)
    return Caller(organisation=key.organisation, actor=actor, scopes=frozenset(key.scopes))


def _member_caller(request: Request, user: User, address: str) -> Caller:
    organisation = _chosen(request, user)
    actor = Actor(kind="user", label=user.get_username(), id=user.pk, address=address, reaches_host=user.is_superuser)
    if user.is_superuser:
        return Caller(organisation=organisation, actor=actor, scopes=frozenset(SCOPES))
    member = Member.objects.of(organisation).get(user_id=user.pk)
    return Caller(organisation=organisation, actor=actor, scopes=member.scopes)


def _chosen(request: Request, user: Any) -> Organisation:
    mine = Organisation.objects.active().of_user(user)
    named = request.headers.get(ORGANISATION_HEADER, "")
    choice = list(mine.filter(slug=named) if named else mine[:2])
    if len(choice) == 1:
        return choice[0]
    known = ", ".join(mine.values_list("slug", flat=True))
    if not known:
        raise PermissionDenied("You are not a member of an organisation. An admin of one can add you.")
    raise ValidationError({ORGANISATION_HEADER: [f"Name one of your organisations in this header: {known}."]})

"""Organisations and their members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from fleet.actors import Actor
from fleet.audit import audit_record, changed_values, field_values
from fleet.errors import InvalidInput, NameTaken, NotFound
from fleet.models import Member, Organisation
from fleet.names import check_slug, near
from fleet.scopes import ROLES
from fleet.services.races import Clash, refused_by

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic(durable=True)
def organisation_create(*, slug: str, name: str = "", max_concurrent_runs: int = 10, actor: Actor) -> Organisation:
    """Open an organisation. Raises :class:`InvalidInput` or :class:`NameTaken`."""
    check_slug(slug)
    if max_concurrent_runs < 1:
        raise InvalidInput(f"The limit must be at least 1, not {max_concurrent_runs}.", field="max_concurrent_runs")
    taken = NameTaken(f"An organisation named {slug!r} exists already.", field="slug")
    if Organisation.objects.filter(slug=slug).exists():
        raise taken
    with refused_by(Clash(constraint="fleet_organisation_slug", column="fleet_organisation.slug", refusal=taken)):
        organisation = Organisation.objects.create(
            slug=slug, name=name or slug, max_concurrent_runs=max_concurrent_runs
        )
    audit_record(
        actor=actor,
        action="organisation.create",
        subject=organisation,
        organisation=organisation,
        after=field_values(organisation, ["slug", "name", "max_concurrent_runs"]),
    )
    return organisation


@transaction.atomic(durable=True)
def organisation_update(*, organisation: Organisation, actor: Actor, **changes: object) -> Organisation:
    """Change ``name``, ``max_concurrent_runs`` or ``is_active``."""
    allowed = ("name", "max_concurrent_runs", "is_active")
    row = Organisation.objects.select_for_update(no_key=True).get(pk=organisation.pk)
    before = field_values(row, allowed)
    for field in allowed:
        setattr(row, field, changes.get(field, getattr(row, field)))
    if row.max_concurrent_runs < 1:
        raise InvalidInput("The limit must be at least 1.", field="max_concurrent_runs")
    row.save(update_fields=allowed)
    old, new = changed_values(before, field_values(row, allowed))
    if new:
        audit_record(actor=actor, action="organisation.update", subject=row, organisation=row, before=old, after=new)
    return row


def organisation_named(slug: str) -> Organisation:
    """The organisation of this slug; the only one when ``slug`` is empty. Raises :class:`NotFound`."""
    slugs = list(Organisation.objects.values_list("slug", flat=True))
    if not slug and len(slugs) == 1:
        slug = slugs[0]
    if not slug:
        if not slugs:
            raise NotFound("There is no organisation yet. Create one: manage.py org create NAME", field="org")
        raise NotFound(f"Which organisation? Name it with --org. There are: {', '.join(slugs)}.", field="org")
    if slug not in slugs:
        raise NotFound(f"There is no organisation named {slug!r}.{near(slug, slugs)}", field="org")
    return Organisation.objects.get(slug=slug)


@transaction.atomic(durable=True)
def member_set(*, organisation: Organisation, username: str, role: str, actor: Actor) -> Member:
    """Give a user a role in the organisation, new or changed."""
    if role not in ROLES:
        raise InvalidInput(f"{role!r} is not a role. Roles are: {', '.join(ROLES)}.", field="role")
    user = _user_named(username)
    before = Member.objects.of(organisation).filter(user=user).first()
    member, _ = Member.objects.update_or_create(organisation=organisation, user=user, defaults={"role": role})
    # A member signs in to the admin, which shows what the role allows and nothing of other organisations.
    get_user_model().objects.filter(pk=user.pk, is_staff=False).update(is_staff=True)
    audit_record(
        actor=actor,
        action="member.set",
        subject=member,
        organisation=organisation,
        before={"role": before.role} if before else {},
        after={"user": username, "role": role},
    )
    return member


@transaction.atomic(durable=True)
def member_remove(*, organisation: Organisation, username: str, actor: Actor) -> None:
    """Take a user's role away. Raises :class:`NotFound` when there was none."""
    member = Member.objects.of(organisation).filter(user__username=username).first()
    if member is None:
        raise NotFound(f"{username!r} is not a member of {organisation}.", field="username")
    audit_record(
        actor=actor,
        action="member.remove",
        subject=member,
        organisation=organisation,
        before={"user": username, "role": member.role},
    )
    member.delete()
    if not Member.objects.filter(user=member.user).exists():
        get_user_model().objects.filter(pk=member.user.pk, is_superuser=False).update(is_staff=False)


@transaction.atomic(durable=True)
def user_ensure_admin(*, username: str, password: str, actor: Actor) -> bool:
    """Create a superuser unless one of that name exists. Returns whether it was created."""
    if get_user_model().objects.filter(username=username).exists():
        return False
    try:
        user = get_user_model().objects.create_superuser(username, password=password)
    except IntegrityError:
        return False
    audit_record(actor=actor, action="user.create", subject=user, organisation=None, after={"superuser": True})
    return True


def _user_named(username: str) -> User:
    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        raise NotFound(
            f"There is no user named {username!r}. Create one in the admin or with `manage.py createsuperuser`.",
            field="username",
        )
    return user

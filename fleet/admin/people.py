"""Accounts and their groups, in the theme's look. Django's own permissions guard them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest

from fleet.admin.access import actor_of
from fleet.admin.audited import AuditedAdmin
from fleet.audit import audit_record

if TYPE_CHECKING:

    class PlainUserAdmin(admin.ModelAdmin[Any]):
        def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any: ...  # noqa: A002

    class PlainGroupAdmin(admin.ModelAdmin[Any]): ...

    class Theme(admin.ModelAdmin[Any]): ...

    UserChangeForm: Any
    UserCreationForm: Any
    AdminPasswordChangeForm: Any
else:
    from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
    from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
    from unfold.admin import ModelAdmin as Theme
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(AuditedAdmin, PlainUserAdmin, Theme):
    unaudited = frozenset({"password", "last_login"})
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002 - Django's
        """A page of its own, which saves through neither ``save_model`` nor a transaction."""
        rows = User.objects.filter(pk=unquote(id))
        with transaction.atomic():
            before = rows.values_list("password", flat=True).first()
            answer = super().user_change_password(request, id, form_url)
            user = rows.first()
            if user is not None and user.password != before:
                audit_record(actor=actor_of(request), action="user.password", subject=user, organisation=None)
        return answer


@admin.register(Group)
class GroupAdmin(AuditedAdmin, PlainGroupAdmin, Theme):
    pass

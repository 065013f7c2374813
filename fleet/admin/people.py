"""Accounts and their groups, in the theme's look. Django's own permissions guard them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.models import Group, User

if TYPE_CHECKING:

    class PlainUserAdmin(admin.ModelAdmin[Any]): ...

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
class UserAdmin(PlainUserAdmin, Theme):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(PlainGroupAdmin, Theme):
    pass

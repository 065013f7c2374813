"""What every admin page of ours has in common: the tenant's scope, and saving through durable services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect

from fleet.admin.access import access_of
from fleet.errors import DomainError
from fleet.models import Agent, Organisation

if TYPE_CHECKING:
    # The theme carries no types: what is used of it is Django's own interface.
    PlainForm = forms.ModelForm[Any]

    class PlainAdmin(admin.ModelAdmin[Any]): ...

    class ThemedAdmin(PlainAdmin): ...
else:
    from unfold.admin import ModelAdmin as ThemedAdmin

    PlainAdmin = admin.ModelAdmin
    PlainForm = forms.ModelForm

_REFUSAL = "_watchbill_refusal"


class ServiceForm(PlainForm):
    """A form whose fields are judged by the service that saves them, in the service's words."""

    refusal: DomainError | None = None

    def clean(self) -> dict[str, Any]:
        if self.refusal:
            field = self.refusal.field.partition(".")[0]
            self.add_error(field if field in self.fields else None, self.refusal.message)
        return self.cleaned_data

    def _get_validation_exclusions(self) -> set[str]:
        # The model's own judgement is left out: its constraints only name themselves.
        return {field.name for field in self._meta.model._meta.get_fields()}  # noqa: SLF001 - Django's documented API


class OutsideTransaction(PlainAdmin):
    """Saves and deletes outside any transaction, since services are durable: Django wraps these two views in one.

    A service's refusal becomes an error of the form: the request is handled once more, and the form, which now
    knows the refusal, is not valid. Nothing is saved the second time.
    """

    @method_decorator(csrf_protect)
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]
        except DomainError as refusal:
            setattr(request, _REFUSAL, refusal)
            return self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]

    @method_decorator(csrf_protect)
    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return self._delete_view(request, object_id, extra_context)  # type: ignore[attr-defined]
        except DomainError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
            name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
            return HttpResponseRedirect(reverse(name, args=(object_id,)))


class TenantAdmin(ThemedAdmin, OutsideTransaction):
    """Objects of the organisations in which the person has a role, and what the role allows.

    ``resource`` names the scopes (``schedules:read`` …); ``organisation_path`` leads from the object to its
    organisation.
    """

    resource = ""
    organisation_path = "organisation"
    list_per_page = 50
    show_full_result_count = False
    compressed_fields = True
    warn_unsaved_form = False

    def scope(self, verb: str) -> str:
        return f"{self.resource}:{verb}"

    def may(self, request: HttpRequest, verb: str, obj: Any = None) -> bool:
        # The theme hands the key of an object where Django hands the object.
        organisation_id = self._organisation_id(obj) if isinstance(obj, models.Model) else None
        if isinstance(obj, models.Model) and organisation_id is None:
            return access_of(request).everywhere
        return access_of(request).may(self.scope(verb), organisation_id)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        access = access_of(request)
        if access.everywhere:
            return rows
        return rows.filter(**{f"{self.organisation_path}__in": access.organisations(self.scope("read"))})

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "read", obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "write")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "write", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "delete", obj)

    def has_run_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "run", obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - Django's signature
        form = super().get_form(request, obj, change, **kwargs)
        refusal = getattr(request, _REFUSAL, None)
        return type(form.__name__, (form,), {"refusal": refusal}) if refusal else form

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        choices = {Organisation: "pk", Agent: "organisation"}.get(db_field.remote_field.model)
        if choices and not access_of(request).everywhere:
            mine = access_of(request).organisations(self.scope("write"))
            kwargs["queryset"] = db_field.remote_field.model.objects.filter(**{f"{choices}__in": mine})
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    # The audit trail is the record; Django's own log would be a second one that commands and API don't write.
    def log_addition(self, *_: Any) -> Any: ...
    def log_change(self, *_: Any) -> Any: ...
    def log_deletions(self, *_: Any) -> Any: ...

    def _organisation_id(self, obj: models.Model) -> int | None:
        value: Any = obj
        for step in self.organisation_path.split("__"):
            value = getattr(value, step)
        key: int | None = value.pk if isinstance(value, models.Model) else value
        return key


class ReadOnlyAdmin(TenantAdmin):
    """Rows that the engine or the audit trail owns: to be seen, never touched."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


class ManagersAdmin(TenantAdmin):
    """For admins and owners of the organisation alone: its people and its keys."""

    def scope(self, verb: str) -> str:  # noqa: ARG002 - one answer for every verb
        return "manage"


class OperatorOnlyAdmin(ReadOnlyAdmin):
    """Rows of the whole installation, of no tenant: for superusers."""

    def may(self, request: HttpRequest, verb: str, obj: Any = None) -> bool:  # noqa: ARG002
        return access_of(request).everywhere

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return PlainAdmin.get_queryset(self, request)


def become(obj: models.Model, saved: models.Model) -> None:
    """Let the form's object be the row that the service saved: Django goes on with its key and name."""
    obj.__dict__.update(saved.__dict__)


def said(form: Any) -> dict[str, Any]:
    """What the person changed; what they left alone is not written, so that an edit beside this one survives."""
    return {name: form.cleaned_data[name] for name in form.changed_data if name in form.cleaned_data}

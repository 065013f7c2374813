"""The audit trail of what no service of ours changes: accounts, groups, and entries of other apps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from fleet.admin.access import actor_of
from fleet.admin.base import PlainAdmin
from fleet.audit import audit_record, changed_values

_BEFORE = "_watchbill_before"


class AuditedAdmin(PlainAdmin):
    """Mix-in, first in line: what its page saves and deletes gets a row, in the transaction of the change."""

    #: Fields that are secret, or that the machine writes.
    unaudited: ClassVar[frozenset[str]] = frozenset()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        setattr(form, _BEFORE, self._stored(obj) if change else {})
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001
        """The last step of saving: groups and permissions are known only now."""
        super().save_related(request, form, formsets, change)
        self._record(request, form.instance, getattr(form, _BEFORE), "update" if change else "create")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._write(request, obj, "delete", before=self._stored(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for obj in queryset:
                self.delete_model(request, obj)

    def recorded(self, request: HttpRequest, queryset: QuerySet[Any], act: Callable[[], None]) -> None:
        """An action that changes several at once."""
        with transaction.atomic():
            before = [(obj, self._stored(obj)) for obj in queryset]
            act()
            for obj, values in before:
                self._record(request, obj, values, "update")

    def _record(self, request: HttpRequest, obj: Model, before: dict[str, Any], verb: str) -> None:
        old, new = changed_values(before, self._stored(obj))
        if new or not before:
            self._write(request, obj, verb, before=old if before else {}, after=new)

    @staticmethod
    def _write(request: HttpRequest, obj: Model, verb: str, **values: dict[str, Any]) -> None:
        action = f"{obj._meta.model_name}.{verb}"  # noqa: SLF001 - Django's documented API
        audit_record(actor=actor_of(request), action=action, subject=obj, organisation=None, **values)

    def _stored(self, obj: Model) -> dict[str, Any]:
        """As the database has it: the form has written its values into ``obj`` already."""
        row = type(obj)._base_manager.get(pk=obj.pk)  # noqa: SLF001
        meta = row._meta  # noqa: SLF001
        plain = [field for field in meta.concrete_fields if not field.primary_key and field.name not in self.unaudited]
        values = {field.name: _json(field.value_from_object(row)) for field in plain}
        return values | {each.name: sorted(map(str, getattr(row, each.name).all())) for each in meta.many_to_many}


def _json(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else str(value)

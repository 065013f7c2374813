"""Input that is read strictly: what would be dropped or guessed elsewhere is refused here, with its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from fleet.models import Agent
from schedules.models import Schedule

_UNSTORABLE = "Text must not hold NUL or half of a surrogate pair."
_DEEPEST = 50


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a typo in ``timezone`` must not end as UTC."""

    def to_internal_value(self, data: Any) -> Any:
        errors = dict(self._unknown(data)) if isinstance(data, Mapping) else {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            detail = error.detail if isinstance(error.detail, dict) else {}
            raise serializers.ValidationError({**detail, **errors}) from error
        if errors:
            raise serializers.ValidationError(errors)
        return values

    def _unknown(self, data: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
        known = [field.field_name or "" for field in self._writable_fields]
        for name in data:
            if name not in known:
                yield name, [self.refusal(name, known)]

    def refusal(self, name: str, known: list[str]) -> str:
        """Why ``name`` is not taken."""
        return f"There is no field {name!r}. Fields are: {', '.join(known)}."


class InstantField(serializers.DateTimeField):
    """A time with its offset. Without one it names no instant, and a guess would be hours off."""

    default_error_messages = {"naive": "Add the offset, for example 2026-12-01T02:00:00+08:00, or Z for UTC."}

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.utcoffset() is None:
            self.fail("naive")
        return super().enforce_timezone(value)


class AskedInstantField(InstantField):
    """The same in an address, where a plus sign means a blank."""

    default_error_messages = {
        "invalid": "Write it as 2026-12-01T02:00:00Z; in an address the + of an offset is written %2B."
    }


@extend_schema_field(OpenApiTypes.OBJECT)
class PayloadField(serializers.DictField):
    """Any JSON object that every database can keep."""

    def to_internal_value(self, data: Any) -> dict[Any, Any]:
        value: dict[Any, Any] = super().to_internal_value(data)
        if any(not _is_storable(text) for text in _texts(value)):
            raise serializers.ValidationError(_UNSTORABLE)
        return value


@extend_schema_field(OpenApiTypes.STR)
class AgentField(serializers.SlugRelatedField[Agent]):
    """An agent of the caller's organisation, by its slug."""

    default_error_messages = {"does_not_exist": "There is no agent {value!r} in your organisation."}

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="slug", **options)

    def get_queryset(self) -> Any:
        return Agent.objects.of(self.context["view"].caller.organisation)


@extend_schema_field(OpenApiTypes.STR)
class JobField(serializers.SlugRelatedField[Schedule]):
    """A schedule of the caller's organisation, by its name."""

    default_error_messages = {"does_not_exist": "There is no job {value!r} in your organisation."}

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="name", **options)

    def get_queryset(self) -> Any:
        return Schedule.objects.of(self.context["view"].caller.organisation)


def _texts(value: Any) -> Iterator[str]:
    """Every text and name in a JSON value. Raises ``ValidationError`` where it is nested too deeply."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        each, depth = waiting.pop()
        if depth > _DEEPEST:
            raise serializers.ValidationError(f"It may be nested {_DEEPEST} deep.")
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            waiting += [(part, depth + 1) for pair in each.items() for part in pair]
        elif isinstance(each, list):
            waiting += [(part, depth + 1) for part in each]


def _is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= mark <= "\udfff" for mark in text)

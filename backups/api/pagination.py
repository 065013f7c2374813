"""Archives in the order in which they were taken: one that was found later may be older."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as BadValue
from rest_framework.exceptions import ValidationError

from fleet.pagination import NewestFirst


class NewestTaken(NewestFirst):
    ordering = ("-began_at", "-id")  # type: ignore[assignment] # either is taken

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> Any:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (BadValue, ValueError) as error:
            # Whoever makes up a cursor can put anything where a time should be.
            raise ValidationError(
                {self.cursor_query_param: ["This cursor did not come from an earlier page."]}
            ) from error

"""Cursor pagination: stable while rows are added, and as fast on page 1000 as on page 1."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Any:
        try:
            return super().decode_cursor(request)
        except NotFound as error:
            # The address is right, its parameter is not: a 404 would say that there are no such objects.
            raise ValidationError(
                {self.cursor_query_param: ["This cursor did not come from an earlier page."]}
            ) from error


class OldestFirst(NewestFirst):
    ordering = "id"


class ByName(NewestFirst):
    """For objects whose name is unique in their organisation."""

    ordering = "name"

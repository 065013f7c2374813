"""Scopes: a view names the scope of each of its actions; a missing one is a 403 that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.exceptions import MethodNotAllowed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from fleet.caller import caller_of

if TYPE_CHECKING:
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """``view.scopes`` maps an action to its scope; an action without one is refused."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        caller = caller_of(request)
        method = (request.method or "").lower()
        # The framework asks for permission before it looks for the method.
        if method not in view.http_method_names or not hasattr(view, method):
            raise MethodNotAllowed(method.upper())
        action = getattr(view, "action", None) or method
        scope = getattr(view, "scopes", {}).get(action)
        if scope is None:
            return False
        if scope not in caller.scopes:
            raise PermissionDenied(f"This needs the scope {scope!r}, which your key or role does not have.")
        request.caller = caller  # type: ignore[attr-defined]
        return True

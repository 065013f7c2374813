"""Scopes of API keys and what each role of a member may do. Scopes read ``resource:verb``."""

from __future__ import annotations

RESOURCES = ("schedules", "backups", "sessions", "leads", "agents", "audit")
VERBS = ("read", "write", "run", "delete")
SCOPES = tuple(f"{resource}:{verb}" for resource in RESOURCES for verb in VERBS)
ROLES = ("viewer", "operator", "admin", "owner")

_ROLE_VERBS = {
    "viewer": ("read",),
    "operator": ("read", "run"),
    "admin": VERBS,
    "owner": VERBS,
}


def role_scopes(role: str) -> frozenset[str]:
    """The scopes that a member of this role holds."""
    return frozenset(f"{resource}:{verb}" for resource in RESOURCES for verb in _ROLE_VERBS[role])


def unknown_scopes(scopes: list[str]) -> list[str]:
    return [scope for scope in scopes if scope not in SCOPES]

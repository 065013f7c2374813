"""The fleet in the admin: organisations, members, API keys, agents, the audit trail, and the people who log in."""

from fleet.admin import agents, apikeys, audit, organisations, people

__all__ = ("agents", "apikeys", "audit", "organisations", "people")

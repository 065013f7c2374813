"""Who does a thing: a person, an API key, a command on the host, or the watch itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self


@dataclass(frozen=True, kw_only=True)
class Actor:
    """The acting party of a service call, as the audit trail keeps it.

    ``label`` is what a reader recognises (a user name, an API key's prefix, ``beat``); ``address`` is the network
    address the request came from, empty for a command. ``reaches_host`` is true of the operator of the host, who may
    name any of its containers, folders and variables: a person with a shell on it, the watch itself, a superuser.
    """

    kind: Literal["user", "api_key", "command", "system"]
    label: str
    id: int | None = None
    address: str = ""
    reaches_host: bool = False

    @classmethod
    def command(cls, login: str) -> Self:
        """A person with a shell on the host, named by the operating system's account."""
        return cls(kind="command", label=login, reaches_host=True)

    @classmethod
    def system(cls, part: str) -> Self:
        """The watch's own work: ``beat``, ``worker``, ``bootstrap``."""
        return cls(kind="system", label=part, reaches_host=True)

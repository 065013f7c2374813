"""Errors of the domain. Each names the field and what would do; a door (command, API, admin) renders them."""

from __future__ import annotations


class DomainError(Exception):
    """A refusal with its reason.

    ``code`` is stable and machine-readable; ``field`` names the input at fault, empty when none is.
    """

    code = "refused"

    def __init__(self, message: str, *, field: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.code = code or self.code


class InvalidInput(DomainError):
    """A value that can't be taken."""

    code = "invalid"


class NameTaken(DomainError):
    """Another object of the organisation has this name."""

    code = "taken"


class NotFound(DomainError):
    """No such object, or it is another organisation's: the two are never told apart."""

    code = "not_found"


class NotAllowed(DomainError):
    """Whoever asks may not do this; the message says who may."""

    code = "not_allowed"


class Conflict(DomainError):
    """The object is in a state in which this can't be done."""

    code = "conflict"

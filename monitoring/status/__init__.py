"""Is the watch up? One check a part, found by discovery in each app's ``status`` room."""

from monitoring.status.base import Finding, StatusCheck, findings, looked

__all__ = ("Finding", "StatusCheck", "findings", "looked")

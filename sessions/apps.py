"""The sessions app: agent runtimes, snapshots, mirrors and roll-back."""

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    name = "sessions"
    # Django's own sessions app owns the other label.
    label = "agent_sessions"
    default_auto_field = "django.db.models.BigAutoField"

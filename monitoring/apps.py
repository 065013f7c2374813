"""The monitoring app: alerts and notifications; rules and channels come with the operations issue."""

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"
    default_auto_field = "django.db.models.BigAutoField"

"""The leadscan app: risk mining of supervisor decisions."""

from django.apps import AppConfig


class LeadscanConfig(AppConfig):
    name = "leadscan"
    default_auto_field = "django.db.models.BigAutoField"

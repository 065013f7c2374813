"""The config app: settings, and the commands that concern the whole watch."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Whoever runs Django publishes to our broker, not to Celery's default one.
        import config.celery  # noqa: PLC0415
        import config.checks  # noqa: F401, PLC0415

"""The top floor: settings, environment, Celery, URLs. The Celery app is found here (``celery -A config``)."""

__all__ = ("celery_app",)


def __getattr__(name: str) -> object:
    """Load the Celery app only when it is asked for: the launcher in ``config.watch`` needs no Celery."""
    if name in {"celery_app", "app", "celery"}:
        from config.celery import app  # noqa: PLC0415

        return app
    raise AttributeError(name)

"""Archives and restores in the admin: to be seen, checked, tried, restored, and deleted with a reason."""

from backups.admin import backups, restores

__all__ = ("backups", "restores")

"""The admin's tests stand on the fleet of ``tests.admin_fleet``."""

from tests.admin_fleet import boss, command_executor, fleet, staff

__all__ = ("boss", "command_executor", "fleet", "staff")

"""The admin's tests stand on the fleet of ``tests.admin_fleet``."""

from tests.admin_fleet import boss, fleet, staff

__all__ = ("boss", "fleet", "staff")

"""Schedules and runs over HTTP. Views parse, call a service, and render."""

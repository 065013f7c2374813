"""Schedules, runs and the engine's rows in the admin; housekeeping in the theme's look."""

from schedules.admin import engine, housekeeping, runs, schedules

__all__ = ("engine", "housekeeping", "runs", "schedules")

"""Schedules, their ledger and blackouts, runs and the engine's rows in the admin; housekeeping in the theme's look."""

from schedules.admin import blackouts, engine, housekeeping, ledger, runs, schedules

__all__ = ("blackouts", "engine", "housekeeping", "ledger", "runs", "schedules")

"""Subcommands of this floor."""

"""What the launcher tells the person once: the first password, and where everything is."""

from __future__ import annotations

import json

from config.watch.folder import DataFolder
from config.watch.settings import Settings
from config.watch.terminal import framed, say, shown


def first_password(settings: Settings, bootstrap_output: str) -> None:
    """Show the admin's password when this start made it: framed, because it is stored nowhere in clear."""
    lines = bootstrap_output.strip().splitlines()
    admin = json.loads(lines[-1])["admin"] if lines else {}
    if not admin.get("password"):
        return
    rows = [
        f"Sign in as   {admin['username']}",
        f"Password     {admin['password']}",
        "",
        f"Shown only this once. Forgotten? {_manage(settings)} changepassword {admin['username']}",
    ]
    say(f"\n{framed(rows)}\n")


def storage_problem(bootstrap_output: str) -> None:
    """Say at once, not at two in the morning, that backups have nowhere to go."""
    lines = bootstrap_output.strip().splitlines()
    problem = json.loads(lines[-1]).get("storage") if lines else None
    if problem:
        say(f"Storage is DOWN, and backups fail until it is mended: {problem}")


def ready(settings: Settings, data: DataFolder, *, flower_url: str) -> None:
    url, env_file = settings.url, shown(data.env_file)
    rows = [
        ("Admin", f"{url}/admin/"),
        ("API docs", f"{url}/api/docs"),
        ("Flower", f"{flower_url} (user and password: FLOWER_BASIC_AUTH in {env_file})"),
        ("Data", f"{shown(data.path)}/"),
        ("Logs", f"{shown(data.part('log'))}/"),
        ("Status", f"{_manage(settings)} status, in a second terminal"),
    ]
    body = "\n".join(f"  {label:<10}{text}" for label, text in rows)
    say(f"Watchbill is ready at {url}\n{body}\nCtrl-C stops it; everything is kept.")


def _manage(settings: Settings) -> str:
    """How a second terminal speaks to this watch: it finds the one in var/ by itself, another by its data folder."""
    usual = settings.data == settings.project / "var"
    return f"{'' if usual else f'WATCHBILL_DATA={settings.data} '}.venv/bin/python manage.py"

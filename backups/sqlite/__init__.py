"""SQLite databases of agents: finding, copying online, checking, maintaining and recovering them.

Standard library only. Every byte of an agent's database is hostile input, and SQLite's locks belong to a
process: whoever opens and closes a database's file anywhere in a process drops the locks that SQLite holds
there. So SQLite itself always runs in a child process (:mod:`backups.sqlite.isolated`), which also is what a
crashing library takes with it, and what can be ended at any moment.
"""

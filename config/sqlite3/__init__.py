"""SQLite with a gate before its write lock."""

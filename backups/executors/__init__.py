"""The executors of this floor."""

"""The outside world of this floor, each system behind one small typed interface."""

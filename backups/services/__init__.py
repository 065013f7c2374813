"""The rules of this floor: what is recorded, verified, kept, moved, restored and drilled."""

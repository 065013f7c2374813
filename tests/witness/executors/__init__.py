"""Found by discovery, as any other app's."""

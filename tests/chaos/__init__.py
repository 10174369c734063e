"""Chaos: whatever dies, pauses or is cut off, a run goes on by itself to a right end."""

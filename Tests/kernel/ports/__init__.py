"""Staged sockets, the census of them, and ss's count of the same."""

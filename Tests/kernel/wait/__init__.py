"""Scenarios of TIME_WAIT and of TCP's changes of state."""

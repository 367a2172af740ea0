"""Staged nodes for `porttrace check`: each trouble made by real programs, and nodes that are busy and well."""

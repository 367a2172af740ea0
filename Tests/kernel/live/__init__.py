"""A staged node under `porttrace top -o ndjson`, and the kernel's own counts of the same."""

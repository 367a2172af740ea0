"""The shape of a line of `porttrace top -o ndjson`, schema 1."""

from harness.contract import FAILURE, HOLDER, differences
from staged.shape import NEEDED_OF_RESOURCE, RESOURCE, holders_breached, missing

NUMBER = ("a number", lambda value: type(value) in (int, float))
RATE = ("a number from 0", lambda value: type(value) in (int, float) and value >= 0)
ROW = {"resource": RESOURCE, "rate_per_s": NUMBER, "failures_per_s": RATE, "eta_s": RATE, "holders": [HOLDER]}
SNAPSHOT = {
    "schema": FAILURE["schema"],
    "timestamp": FAILURE["timestamp"],
    "node": FAILURE["node"],
    "type": ("snapshot", lambda value: value == "snapshot"),
    "rows": [ROW],
}


def breaches(line):
    """What of a line the contract does not have, or has and it lacks."""
    yield from missing(line, SNAPSHOT, "")
    yield from differences(line, SNAPSHOT, "")
    for row in line.get("rows", []):
        yield from missing(row, ("resource", "failures_per_s"), "rows.")
        yield from missing(row.get("resource", {}), NEEDED_OF_RESOURCE, "rows.resource.")
        yield from holders_breached(row.get("holders", []), "holders")
        if "eta_s" in row and row.get("rate_per_s", 0) <= 0:
            yield f"a time until it is full although it does not rise: {row}"

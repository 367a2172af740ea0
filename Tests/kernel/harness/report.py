"""What a person reads, and the results as plain data."""

import os

SHOWN = 12


def result(mode, scenario, verdict, tiers, outcomes, skipped):
    """One run of one scenario, as plain data."""
    by_client = []
    for outcome in outcomes:
        seen = sum(count for key, count in verdict.seen.items() if key[2] == outcome.pid)
        real = sum(count for key, count in verdict.real.items() if key[2] == outcome.pid)
        by_client.append({"client": outcome.client.name, "attempts": outcome.total, "real": real, "seen": seen})
    problems = [f"{text} ({count} times)" if count > 1 else text for text, count in verdict.problems.items()]
    return header(mode, scenario) | {
        "tiers": tiers,
        "clients": by_client,
        "skipped": [f"{client.name}: {reason}" for client, reason in skipped],
        "attempts": sum(entry["attempts"] for entry in by_client),
        "real": verdict.real.total(),
        "seen": verdict.seen.total(),
        "exact": verdict.exact,
        "bound": verdict.bound,
        "lines": verdict.lines,
        "problems": problems,
    }


def broken(mode, scenario, error):
    """A run that came to no result."""
    nothing = {"tiers": {}, "clients": [], "skipped": [], "attempts": 0, "real": 0, "seen": 0}
    return header(mode, scenario) | nothing | {"exact": False, "bound": 0, "lines": 0, "problems": [str(error)]}


def header(mode, scenario):
    return {"kernel": os.uname().release, "mode": mode, "scenario": scenario.name}


def verdict_of(entry):
    if entry["problems"]:
        return "FAILED"
    return "exact" if entry["exact"] else f"not exact, {entry['real'] - entry['seen']} of ≤ {entry['bound']} unseen"


def tiers_of(entry):
    return " ".join(f"{hook}={tier.split()[0]}" for hook, tier in entry["tiers"].items())


def show_kernel(features):
    print(f"kernel {os.uname().release}, {os.cpu_count()} CPUs", flush=True)
    for name, answer in features.items():
        if answer != "yes":
            print(f"  without {name}: {answer}", flush=True)


def show(entry, first=True):
    sign = "=" if entry["real"] == entry["seen"] else "≠"
    print(
        f"{entry['mode']:<10} {entry['scenario']:<14} {entry['real']:>7} {sign} {entry['seen']:<7}"
        f" {len(entry['clients']):>2} clients, {entry['attempts']} attempts, {entry['lines']} lines;"
        f" {tiers_of(entry)}: {verdict_of(entry)}",
        flush=True,
    )
    for line in entry["skipped"] if first else []:
        print(f"    skipped {line}", flush=True)
    for one in entry["clients"]:
        if one["real"] != one["seen"]:
            print(f"    {one['client']}: {one['real']} real, {one['seen']} seen", flush=True)
    for problem in entry["problems"][:SHOWN]:
        print(f"    ! {problem}", flush=True)
    if len(entry["problems"]) > SHOWN:
        print(f"    ! and {len(entry['problems']) - SHOWN} more", flush=True)


def show_skipped(mode, scenario, skipped):
    print(f"{mode:<10} {scenario.name:<14} skipped", flush=True)
    for client, reason in skipped:
        print(f"    skipped {client.name}: {reason}", flush=True)


def conclude(results):
    failed = sum(bool(entry["problems"]) for entry in results)
    inexact = sum(not entry["exact"] for entry in results if not entry["problems"])
    real = sum(entry["real"] for entry in results)
    print(f"{len(results)} runs, {real} failures: {failed} failed, {inexact} not exact within their bound", flush=True)
    return 1 if failed or not results else 0

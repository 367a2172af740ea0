"""Runs scenarios one after the other: a fresh lab for each, its verdict shown and kept."""

import contextlib
import fcntl
import json
import os
import pathlib
import sys
import traceback

from harness import report
from harness.clients import ClientError
from harness.tracer import TracerError
from robust.lab import Failed, Skip

from .net import Limit, remove_leftovers

LOCK = pathlib.Path("/run/porttrace-conntrack.lock")
EXPECTED = (ClientError, Failed, TracerError)  # whose words say enough


def broken(mode, case, problem):
    """A run that came to no result."""
    nothing = {"tiers": {}, "clients": [], "attempts": 0, "real": 0, "seen": 0, "exact": False, "bound": 0, "lines": 0}
    return header(mode, case) | nothing | {"skipped": [], "notes": [], "problems": [problem]}


def header(mode, case):
    return {"kernel": os.uname().release, "mode": mode, "scenario": case.name}


def keep_output(options, name, lab):
    if options.keep and lab.trace:
        options.keep.mkdir(parents=True, exist_ok=True)
        (options.keep / f"{name}.ndjson").write_bytes(lab.trace.output())
        (options.keep / f"{name}.err").write_text(lab.trace.messages())


def judged(case, lab):
    """A scenario returns a Judge, or several of the same run."""
    judges = case.run(lab)
    judges = judges if isinstance(judges, list) else [judges]
    result = judges[0].result()
    for number, other in enumerate(judges[1:], 2):
        result["problems"] += [f"{number}. porttrace: {text}" for text in other.result()["problems"]]
    return result


def run_case(options, mode, case, number, folder, make_lab):
    """Returns the result, or why it was skipped."""
    lab = None
    try:
        lab = make_lab(options, mode, folder)
        result = header(mode, case) | judged(case, lab)
        if result["problems"]:
            keep_output(options, f"{os.uname().release}-{mode}-{case.name}-{number}", lab)
        return result
    except Skip as reason:
        return str(reason)
    except EXPECTED as problem:
        return broken(mode, case, str(problem))
    except Exception:
        return broken(mode, case, traceback.format_exc())
    finally:
        if lab:
            lab.close()


@contextlib.contextmanager
def alone(program):
    """One run at a time: they would share nf_conntrack_max and addresses."""
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{program}: waiting for another run on this machine", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        Limit.restore()
        remove_leftovers()
        yield


def show(result):
    report.show(result)
    for note in filter(None, result["notes"]):
        print(f"    {note}", flush=True)


def run_cases(options, work, folder, make_lab):
    """Each scenario in each mode as often as asked for; returns the results."""
    results = []
    for mode in ["kernel"] if options.without_porttrace else options.mode:
        for case in work:
            for number in range(options.repeat):
                result = run_case(options, mode, case, number + 1, folder, make_lab)
                if isinstance(result, str):
                    print(f"{mode:<10} {case.name:<14} skipped: {result}", flush=True)
                    continue
                results.append(result)
                show(result)
                if options.results:
                    with options.results.open("a") as file:
                        file.write(json.dumps(result) + "\n")
    return results

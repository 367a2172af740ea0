"""What the scenes share: nginx, porttrace beside them, its lines, and a word to the person at the terminal."""

import json
import pathlib
import signal
import sys

from pods import NODE
from stage import NAME, WORK, DemoError

CONFIGURATION = pathlib.Path(__file__).resolve().parent / "nginx"
EVENTS = WORK / "events"


class SceneSkipped(Exception):
    """This kernel cannot stage the scene; the message says what is missing."""


def serve(stage, name):
    """nginx in its place and cgroup, once it listens."""
    folder = WORK / name
    folder.mkdir(mode=0o711)
    log = folder / "error.log"
    configuration = CONFIGURATION / f"{name}.conf"
    with open(folder / "output", "wb") as output:
        command = ("nginx", "-p", folder, "-c", configuration, "-e", log, "-g", "daemon off;")
        server = stage.start(*command, cgroup=name, place=name, stdout=output, stderr=output)
    # It writes its pid once it listens.
    stage.wait_until(lambda: (folder / "nginx.pid").exists() or server.poll() is not None, f"nginx for {name}")
    if server.poll() is not None:
        raise DemoError(f"nginx for {name} ended: {(folder / 'output').read_text()}{log.read_text()}")


def watch(stage, porttrace, namespaces):
    """Two porttraces on these Kubernetes namespaces: one for the person at the terminal, one whose lines are counted.

    They are attached; what the first said about that comes with them.
    """
    here = ("--cgroup", f"/{NAME}")  # whatever else fails on this machine
    watchers, messages = [], []
    with open(EVENTS, "wb") as lines:
        for form, output in (("text", sys.stdout), ("ndjson", lines)):
            messages.append(WORK / f"{form}.messages")
            with open(messages[-1], "wb") as errors:
                command = (porttrace, "--namespace", namespaces, "--host-root", NODE, *here, "--output", form)
                watchers.append(stage.start(*command, cgroup="tools", stdout=output, stderr=errors))
    for watcher, said in zip(watchers, messages):
        stage.wait_until(lambda: "porttrace: attached" in said.read_text() or watcher.poll() is not None, "porttrace")
        if watcher.poll() is not None:
            raise DemoError(f"porttrace ended with status {watcher.returncode}: {said.read_text().strip()}")
    return watchers, messages[0].read_text()


def stop(stage, watchers):
    for watcher in watchers:
        watcher.send_signal(signal.SIGINT)
    for watcher in watchers:
        if stage.finish(watcher, "porttrace's end"):
            raise DemoError(f"porttrace ended with status {watcher.returncode}")


def check(stage, porttrace, namespaces):
    """Two checks at once: one for the person at the terminal, one whose verdict is used. Both are attached."""
    checks = []
    for form in ("text", "json"):
        output, errors = WORK / f"check.{form}", WORK / f"check.{form}.messages"
        with open(output, "wb") as report, open(errors, "wb") as messages:
            command = (porttrace, "check", "--duration", "3s", "--namespace", namespaces, "--host-root", NODE)
            command += ("--cgroup", f"/{NAME}", "--output", form)
            checks.append((stage.start(*command, cgroup="tools", stdout=report, stderr=messages), output, errors))
    for process, _, errors in checks:
        stage.wait_until(
            lambda: "porttrace: attached" in errors.read_text() or process.poll() is not None, "porttrace check"
        )
    return checks


def verdict(stage, checks):
    """What they have said: the text, and the document; both end with the status of a node that is failing."""
    for process, _, errors in checks:
        status = stage.finish(process, "porttrace check")
        if status != 20:
            raise DemoError(f"porttrace check ended with status {status}, not 20: {errors.read_text().strip()}")
    (_, text, _), (_, document, _) = checks
    return text.read_text(), json.loads(document.read_text())


def failures():
    """The failures among porttrace's NDJSON lines; what came before them is none."""
    events = map(json.loads, EVENTS.read_text().splitlines())
    return [event for event in events if event["type"] not in ("summary", "lost", "pressure")]


def owner(stage, event, containers):
    """Whose failure it is: by its cgroup, where the demo has put the program. All names must be that container's."""
    path = event.get("cgroup", {}).get("path")
    found = [name for name in containers if stage.cgroup_path(name) == path]
    if not found or any(event.get(field) != names for field, names in containers[found[0]].fields.items()):
        raise DemoError(f"porttrace's line does not name the container that it is about: {json.dumps(event)}")
    return found[0]


def say(text):
    lines = text.splitlines()[1:-1]
    print("\n".join(line.removeprefix(" " * 8) for line in lines), end="\n\n", flush=True)

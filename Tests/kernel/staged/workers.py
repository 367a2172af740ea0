"""The processes of a staged node, and what they say became of their calls."""

import json
import pathlib
import subprocess

from robust.lab import await_that, check, equal

PROGRAM = pathlib.Path(__file__).resolve().with_name("worker.py")


class Worker:
    """A process in a namespace and a cgroup of the lab. Of a pod, `container` is one of its containers."""

    def __init__(self, lab, name, place, container=None, comm=""):
        self.name, self.place, self.comm = name, place, (comm or f"st-{name}")[:15]
        self.net = lab.nets[place]
        self.pod = lab.pods.get(place)
        self.folder = lab.cgroup_of(place, container or name)
        self.path = "/" + self.folder.relative_to(lab.cgroup_root).as_posix()
        enter, release = lab.enter(self.net, self.folder)
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-I", PROGRAM, self.comm], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=enter, text=True,
        )  # fmt: skip
        release()
        lab.stack.callback(self.close)
        self.answer()

    @property
    def pid(self):
        return self.process.pid

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def begin(self, task, *arguments, **words):
        """Starts a task; its answer is still to be read."""
        names = {"listen": ("address", "port"), "bind": ("address", "port"), "leave": ("namespace",)}
        words |= dict(zip(names.get(task, ("to", "port")), arguments))
        self.process.stdin.write(json.dumps({"do": task} | words) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        check(line, f"the worker {self.name} has ended ({self.process.poll()})")
        return json.loads(line)

    def end(self):
        """Ends a task that goes on until it is told; what came of it."""
        self.process.stdin.write('{"do": ""}\n')
        self.process.stdin.flush()
        return self.answer()

    def does(self, task, *arguments, **words):
        """Runs a task to its end: errno name → how often."""
        self.begin(task, *arguments, **words)
        return self.answer()

    def all(self, outcome, task, *arguments, **words):
        """The same, where every call must end alike; how many there were."""
        counts = self.does(task, *arguments, **words)
        equal(list(counts), [outcome], f"what {self.name} got from {task}{arguments}: {counts}")
        return counts[outcome]


def sockets(net, *filters):
    """Lines of `ss -Htan` or, with `-u` among the filters, of what they ask for."""
    return net.run("ss", *([] if "-Huan" in filters else ["-Htan"]), *filters).splitlines()


def await_sockets(net, count, *filters):
    """Accepting is the server's work and may take its time."""
    await_that(lambda: len(sockets(net, *filters)) == count, f"{count} sockets {' '.join(filters)}")


def tcp_counter(net, name):
    """A counter of TCP in a namespace, since it was made."""
    for line in net.run("nstat", "-asz", name).splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0

"""Real software that runs out of ports, reconciled with what it says itself."""

import collections
import re
import subprocess
import sys

from .lab import HERE, LIMIT, await_that, case, check, equal, need_program
from .trace import destination_counts, failures

KIND = "connect_exhausted"
NGINX = """
daemon off; master_process on; worker_processes 2; pid {folder}/pid; error_log {folder}/error.log error; user root;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
  uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t; keepalive_requests 1000000;
  server {{ listen 127.0.0.1:9000 backlog=4096; listen [::1]:9000 backlog=4096; location / {{ return 200 "ok\\n"; }} }}
  server {{
    listen 127.0.0.1:8080; listen [::1]:8080; proxy_http_version 1.1; proxy_set_header Connection "keep-alive";
    location /4 {{ proxy_pass http://127.0.0.1:9000; }}
    location /6 {{ proxy_pass http://[::1]:9000; }}
  }}
}}
"""
REFUSED = re.compile(r"\[crit\] (\d+)#.* connect\(\) to (?:\[([0-9a-f:]+)\]|([0-9.]+)):(\d+) failed \(99: ")


def compare(trace, cgroup, real):
    """real: (pid, address, port) → failures by the software's own count."""
    check(real.total() > 0, "the software counted no failure: this tested nothing")
    events = trace.events()
    for event in failures(events):
        equal(event.get("detail", {}).get("folded"), None, "folded")
    seen = destination_counts(events)
    wanted = collections.Counter({(KIND, cgroup, *key): count for key, count in real.items()})
    unlike = {key: (seen[key], wanted[key]) for key in seen.keys() | wanted.keys() if seen[key] != wanted[key]}
    check(not unlike, f"{seen.total()} of {wanted.total()}; (seen, real) by key: {dict(list(unlike.items())[:5])}")
    equal(events[-1]["detail"]["totals"][KIND], real.total(), "the summary's total")
    return f"{real.total()} = {seen.total()}"


@case
def nginx(lab):
    """A proxy that keeps no upstream connection: every request takes a port, each left in TIME_WAIT."""
    program, bench = need_program("nginx"), need_program("ab")
    net = lab.net("web", (32768, 33001))
    folder = lab.temporary / "nginx"
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    trace = lab.attached("-o", "ndjson")
    command = [program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    server = lab.spawn(list(map(str, command)), net, "a", stderr=subprocess.DEVNULL)
    await_that(lambda: b":8080" in listening(net) or server.poll() is not None, "nginx")
    check(server.poll() is None, f"nginx exited: {(folder / 'error.log').read_text()[-300:]}")
    requests = max(400, int(3000 * lab.scale))
    for path in ("4", "6"):
        done = subprocess.run(
            [bench, "-k", "-q", "-n", str(requests), "-c", "20", f"http://127.0.0.1:8080/{path}"],
            preexec_fn=lab.entry(net, "b"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT,
        )
        equal(done.returncode, 0, f"ab's exit status ({done.stderr[-300:]!r})")
    server.terminate()
    server.wait(LIMIT)
    trace.stop()
    real = collections.Counter()
    for line in (folder / "error.log").read_text().splitlines():
        if found := REFUSED.search(line):
            real[int(found[1]), found[2] or found[3], int(found[4])] += 1
    check({address for _, address, _ in real} == {"127.0.0.1", "::1"}, f"nginx's log has {real}")
    words = compare(trace, lab.path_of("a"), real)
    equal({event["proc"]["comm"] for event in failures(trace.events())}, {"nginx"}, "comms")
    return f"{words}, by nginx's error log, {len(real)} pairs of worker and upstream"


def listening(net):
    return subprocess.run(["ip", "netns", "exec", net.name, "ss", "-ltn"], stdout=subprocess.PIPE, check=True).stdout


@case
def curl(lab):
    """A new process for every request; its own words tell which address failed."""
    lab.once()
    program = need_program("curl")
    trace = lab.attached("-o", "ndjson")
    real, statuses = collections.Counter(), collections.Counter()
    for number in range(max(20, int(200 * lab.scale))):
        url = ("http://198.51.100.1/", "http://[2001:db8::1]:8080/", "http://both.example:81/")[number % 3]
        resolve = ["--resolve", "both.example:81:198.51.100.9,[2001:db8::9]"]
        process = lab.spawn(
            [program, "-sv", "-o", "/dev/null", "--noproxy", "*", "--max-time", "60", *resolve, url],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={"LC_ALL": "C"},
        )
        words = process.stderr.read()
        statuses[process.wait()] += 1
        port = {0: 80, 1: 8080, 2: 81}[number % 3]
        for address in re.findall(r"Immediate connect fail for (\S+): Cannot assign requested address", words):
            real[process.pid, address, port] += 1
    equal(set(statuses), {7}, "curl's exit statuses (7: could not connect)")
    trace.stop()
    check(any(":" in address for _, address, _ in real), f"no IPv6 in {real}")
    return f"{compare(trace, lab.path_of('a'), real)}, by curl's own words, {statuses[7]} processes"


PYTHON = """
import errno, http.client, sys
counts = {}
for number in range(int(sys.argv[1])):
    address = ("198.51.100.1", "2001:db8::1")[number % 2]
    try:
        http.client.HTTPConnection(address, 8000).request("GET", "/")
        sys.exit("no failure")
    except OSError as error:
        counts[address, error.errno] = counts.get((address, error.errno), 0) + 1
for (address, code), count in counts.items():
    print(address, errno.errorcode[code], count)
"""


@case
def python(lab):
    lab.once()
    trace = lab.attached("-o", "ndjson")
    process = lab.spawn(
        [sys.executable, "-c", PYTHON, str(max(100, int(2000 * lab.scale)))], stdout=subprocess.PIPE, text=True
    )
    real = collections.Counter()
    for line in process.stdout.read().splitlines():
        address, code, count = line.split()
        equal(code, "EADDRNOTAVAIL", "python's errno")
        real[process.pid, address, 8000] += int(count)
    equal(process.wait(), 0, "python's exit status")
    trace.stop()
    return f"{compare(trace, lab.path_of('a'), real)}, by http.client's errno"


@case
def java(lab):
    """java.net and NIO; their sockets are IPv6 ones with v4-mapped addresses."""
    lab.once()
    program = need_program("java")
    need_program("javac")
    trace = lab.attached("-o", "ndjson")
    real = collections.Counter()
    for address in ("198.51.100.1", "2001:db8::1"):
        process = lab.spawn(
            [program, str(HERE / "Client.java"), str(max(100, int(1000 * lab.scale))), address, "7000"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        output, errors = process.communicate()
        equal(process.returncode, 0, f"java's exit status ({errors[-300:]!r})")
        pid, failed, others = map(int, output.split())
        equal(others, 0, "attempts that ended otherwise")
        real[pid, address, 7000] += failed
    trace.stop()
    return f"{compare(trace, lab.path_of('a'), real)}, by Java's exceptions"

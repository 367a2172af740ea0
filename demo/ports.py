"""Scene 1: one service is out of source ports, its neighbour with the same load is not.

Three pods of the shop: payments, a service that works; checkout, which opens a new connection to it for every request;
catalog, which keeps its connections. porttrace watches the shop.
"""

import os
import re

from pods import NODE, Container, add_container
from scene import check, failures, owner, say, serve, stop, verdict, watch
from stage import NAME, WORK, DemoError

NAMESPACE = "shop"
PODS = {
    "payments": Container(NAMESPACE, "payments-0", "api"),
    "checkout": Container(NAMESPACE, "checkout-7d9f6c8b5-kx2vq", "web"),
    "catalog": Container(NAMESPACE, "catalog-5c6d4f9b8-w7rzn", "web"),
}

ADDRESS = "10.20.0.10"
SERVICE, CLOSED = f"{ADDRESS}:8080", f"{ADDRESS}:8081"
CALLERS = {"checkout": 1, "catalog": 2}  # name → its subnet, 10.20.N.0/24
PORTS = (32768, 33001)
ROUNDS, REQUESTS, CONCURRENCY = 2, 1500, 20
REFUSED = 5
EADDRNOTAVAIL_LOGGED = b"(99: Cannot assign requested address)"


def build(stage):
    for place, container in PODS.items():
        stage.add_namespace(place)
        add_container(stage, place, container)
    for caller, subnet in CALLERS.items():
        connect(stage, caller, subnet)
        stage.set_sysctl(caller, "net.ipv4.ip_local_port_range", f"{PORTS[0]} {PORTS[1]}")
        stage.set_sysctl(caller, "net.ipv4.tcp_tw_reuse", "0")
    stage.add_cgroup("tools")


def connect(stage, caller, subnet):
    """A cable between the caller and payments, and the caller's route to the service."""
    peer = f"{NAME}-payments"
    stage.ip(
        caller,
        f"link add eth0 type veth peer name {caller} netns {peer}",
        f"address add 10.20.{subnet}.2/24 dev eth0",
        "link set eth0 up",
        f"route add default via 10.20.{subnet}.1",
    )
    addresses = (f"address add {address} dev {caller}" for address in (f"10.20.{subnet}.1/24", f"{ADDRESS}/32"))
    stage.ip("payments", *addresses, f"link set {caller} up")


def load(stage):
    """The customers of both callers at once, and calls to a port where nobody listens; the requests not answered."""
    unanswered = dict.fromkeys(CALLERS, 0)
    for _ in range(ROUNDS):
        customers = {caller: customer(stage, caller) for caller in CALLERS}
        call_closed_port(stage)
        for caller, process in customers.items():
            if stage.finish(process, f"ab for {caller}"):
                raise DemoError(f"ab for {caller}: {(WORK / f'ab-{caller}').read_text()}")
            unanswered[caller] += not_answered((WORK / f"ab-{caller}").read_text())
        stage.pause(1.2)
    return unanswered


def customer(stage, caller):
    with open(WORK / f"ab-{caller}", "wb") as output:
        command = ("ab", "-q", "-k", "-n", REQUESTS, "-c", CONCURRENCY, "http://127.0.0.1/")
        return stage.start(*command, cgroup="tools", place=caller, stdout=output, stderr=output)


def not_answered(report):
    found = re.search(r"^Non-2xx responses: +(\d+)", report, re.MULTILINE)
    return int(found[1]) if found else 0


def call_closed_port(stage):
    for _ in range(REFUSED):
        with open(os.devnull, "wb") as nowhere:
            command = ("curl", "-s", f"http://{CLOSED}/")
            caller = stage.start(*command, cgroup="catalog", place="catalog", stdout=nowhere, stderr=nowhere)
        if stage.finish(caller, "curl") != 7:  # CURLE_COULDNT_CONNECT
            raise DemoError(f"curl was to be refused, and ended with status {caller.returncode}")


def counted(stage):
    """Failures by pod, summed over porttrace's NDJSON lines; a line of any other kind of failure counts too."""
    counts = dict.fromkeys(PODS, 0)
    for event in failures():
        counts[owner(stage, event, PODS)] += event["count"]
    return counts


def introduce():
    ports = PORTS[1] - PORTS[0] + 1
    payments, checkout, catalog = (f"{container.full_pod:<29}" for container in PODS.values())
    say(f"""
        SCENE 1: SOURCE PORTS SPENT

        Staged on this kernel: three pods, in throw-away network namespaces and cgroups ({ports} source ports each, no
        tcp_tw_reuse), with the state that containerd would keep of them in {NODE}:

          {payments}  a service at {SERVICE}
          {checkout}  nginx in front of it, a new connection for every request
          {catalog}  nginx in front of it, with keepalive; it also calls {CLOSED}, where
          {"":<29}  nobody listens

        {ROUNDS * REQUESTS} requests to checkout, as many to catalog. porttrace is asked for --namespace {NAMESPACE}:
    """)


def conclude(unanswered, counts):
    logged = (WORK / "checkout/error.log").read_bytes().count(EADDRNOTAVAIL_LOGGED)
    say(f"""

        What to see in it:

          Who     {PODS["checkout"].full_name}: its nginx, and nothing else.
          Where   {SERVICE}: all {PORTS[1] - PORTS[0] + 1} ports towards it are held, mostly by closed connections in TIME_WAIT.
                  {unanswered["checkout"]} of its {ROUNDS * REQUESTS} customers got an error page.
          Not     catalog: as many requests, {unanswered["catalog"]} errors. One line in its configuration differs:
                  "keepalive 32;" in the upstream block, which is the cure for checkout too.
          Not     catalog's {ROUNDS * REFUSED} refused connections to {CLOSED}: refused is not out of ports.

        Reconciled: nginx logged {logged} '99: Cannot assign requested address', porttrace counted {counts["checkout"]}.
    """)
    if not logged:
        raise DemoError("checkout never ran out of ports")
    if counts != {"checkout": logged, "catalog": 0, "payments": 0}:
        raise DemoError(f"porttrace's counts {counts} are not what happened")


def diagnose(stage, porttrace):
    """Asks what to do while it lasts, does it, and looks whether that has helped."""
    say("""
        And what is to be done? The same load once more, and porttrace check --namespace shop:
    """)
    checks = check(stage, porttrace, NAMESPACE)
    if stage.finish(customer(stage, "checkout"), "ab for checkout"):
        raise DemoError(f"ab for checkout: {(WORK / 'ab-checkout').read_text()}")
    text, document = verdict(stage, checks)
    print(text, flush=True)
    finding = document["findings"][0]
    culprit = finding["culprits"][0].get("k8s", {}).get("pod")
    if finding["problem"] != "port_exhaustion" or culprit != PODS["checkout"].pod:
        raise DemoError(f"check has not found it: {finding}")
    fix = next(fix["command"] for fix in finding["fixes"] if fix["when"] == "now")
    stage.execute("checkout", "sh", "-c", fix)
    if stage.finish(customer(stage, "checkout"), "ab for checkout"):
        raise DemoError(f"ab for checkout: {(WORK / 'ab-checkout').read_text()}")
    left = not_answered((WORK / "ab-checkout").read_text())
    say(f"""
        Done, its first command: {fix}
        {REQUESTS} requests to checkout after that: {left} errors.
    """)
    if left:
        raise DemoError("the fix has not ended the failures")


def perform(stage, porttrace):
    build(stage)
    for name in PODS:
        serve(stage, name)
    introduce()
    watchers, said = watch(stage, porttrace, NAMESPACE)
    print(said, flush=True)
    unanswered = load(stage)
    stop(stage, watchers)
    conclude(unanswered, counted(stage))
    diagnose(stage, porttrace)

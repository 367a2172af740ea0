"""Questions to a name server that lose a race.

Two questions of one socket have been merged since v5.7: 6a757c07e51f ("netfilter: conntrack: allow insertion of
clashing entries"). What dies is the one whose translated port another took at the same moment.
"""

import os

from robust.lab import Skip, case, check
from track.races import DELAY, colliding

from .judge import Expected
from .stage import conclude

PORT, QUESTIONS = 53, 3000
RULES = f"""table inet races {{
chain post {{
type nat hook postrouting priority 100;
oifname out udp dport {PORT} masquerade
}}
chain delay {{
type filter hook postrouting priority 200;
%s
}}
}}
"""


@case
def dns_race(lab):
    """Two pods ask one server from the same source port."""
    if (os.cpu_count() or 1) < 2:
        raise Skip("two CPUs are needed")
    lab.build("p1", "p2")
    lab.track()
    node = lab.nets["node"]
    node.nft(RULES % DELAY)
    crowd = lab.crowd(*colliding("udp", 4, PORT), total=QUESTIONS)
    before = node.counters()["insert_failed"]

    def ask():
        crowd.start()
        crowd.outcomes()

    verdict = lab.check(meanwhile=ask)
    lost = node.counters()["insert_failed"] - before
    sent = sum(sender.sent for sender, _ in crowd.members)
    check(sent == QUESTIONS, f"{sent} questions were sent")
    if not lost:
        raise Skip("no race was lost here")
    lab.note(f"{lost} of {sent} lost")
    wanted = Expected(
        "conntrack_insert_failed", place="node", now=False, words=("DNS", "single-request-reopen", rf"\b{lost}\b")
    )
    judge = conclude(lab, verdict, wanted)
    for finding in judge.mine(verdict):
        told = sum(holder["count"] for holder in finding["victims"])
        judge.real, judge.seen = lost, told
        if told > lost:
            judge.problem(f"{told} victims of {lost} races")
        for fix in finding["fixes"]:
            if "NOTRACK" in " ".join(map(str, fix.values())).upper():
                judge.problem(f"NOTRACK is offered for flows that are translated: {fix}")
    return judge

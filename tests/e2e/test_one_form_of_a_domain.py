"""A domain in another alphabet and its form in ASCII are one: wherever an address is typed, either will do."""
import pytest
from lib import scratch
from lib.gateway import message
from lib.sending import to

U, A = "почта.рф", "xn--80a1acny.xn--p1ai"


@pytest.mark.parametrize("kept", [U, A])
def test_log_in_and_sender_of_a_relay(gateway, liar, kept):
    r = liar()
    sections = to(r.port)
    sections["user anna"] = {"password": "secret", "alias": f"anna@{kept}"}
    sections["relay own"] = {**sections["relay"], "senders": f"*@{U}"}
    g = gateway(sections)
    for name in (f"anna@{U}", f"anna@{A}", f"anna@{U.upper()}"):
        with g.pop3() as p:
            p.ok(f"USER {name}")
            p.ok("PASS secret")
            p.ok("QUIT")


def test_queue_by_address(gateway, liar):
    r = liar(lambda verb, arg, connection: "450 4.2.0 later" if verb == "RCPT" else None)
    g = gateway(to(r.port))
    g.send("anna@office.lan", [f"x@{A}"], message("waits"))
    scratch.wait_for(lambda: g.json("queue")["messages"], 20, g.log)
    g.ctl_ok("queue", "drop", f"x@{U}")
    scratch.wait_for(lambda: not g.json("queue")["messages"], 20, g.log)

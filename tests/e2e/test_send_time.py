"""The outqueue and time: warnings, expiry, clocks that jump, restarts between a commit and its files, reloads."""
import base64
import pathlib
import re
import subprocess
import time

import pytest

from lib import gateway as gw
from lib import scratch
from lib.sending import greylisting, mail, to, while_stopped

DAY = 86400
# How many messages a connection may have without reply or commit, by what the relay offers.
AT_RISK = [pytest.param(("PIPELINING", "CHUNKING"), 20, id="chunking"), pytest.param(("PIPELINING",), 6, id="pipelining"),
           pytest.param((), 2, id="neither")]


def test_one_delay_warning_after_four_hours_and_a_failed_try(gateway, liar):
    r = liar(greylisting)
    g = gateway(to(r.port))
    mail(g, "x@far.example", "y@far.example", subject="slow")
    g.wait_queue(1)
    g.ctl("sync", "--wait")
    assert g.box("anna") == []
    while_stopped(g, "UPDATE queue SET waited = 4 * 3600")
    assert g.box("anna") == []
    g.ctl("sync", "--wait")
    [warning] = g.wait_box("anna")
    assert warning.count(b"Action: delayed") == 2 and b"Will-Retry-Until: " in warning
    assert b"Delayed, still trying: slow" in warning and b"greylisted" in warning
    g.ctl("sync", "--wait")
    g.restart()
    g.ctl("sync", "--wait")
    assert len(g.box("anna")) == 1
    g.wait_queue(1)


@pytest.mark.parametrize("years", [10, -10])
def test_a_jumping_clock_expires_nothing(gateway, liar, years):
    r = liar(greylisting)
    g = gateway(to(r.port, max_age="5d"))
    for n in range(5):
        mail(g, f"r{n}@far.example")
    g.wait_queue(5)
    g.ctl("sync", "--wait")
    # As if all had been written when the clock was elsewhere.
    while_stopped(g, "UPDATE queue SET queued_at = queued_at - ?1, counted_at = counted_at - ?1", years * 365 * DAY)
    g.ctl("sync", "--wait")
    g.wait_queue(5)
    assert all(b"Action: failed" not in m for m in g.box("anna"))
    r.reply = lambda verb, arg, connection: None
    g.sync()
    g.wait_queue(0)


def test_a_clock_set_back_delays_no_retry_for_years(gateway, liar):
    r = liar(greylisting)
    g = gateway(to(r.port, retry="1s") | {"sync": {"on_send": "yes"}})
    mail(g, "x@far.example")
    scratch.wait_for(lambda: r.verbs("RCPT"), 20)
    r.reply = lambda verb, arg, connection: None
    while_stopped(g, "UPDATE recipient SET next_at = next_at + ?, attempts = 1", 10 * 365 * DAY)
    scratch.wait_for(lambda: r.accepted, 20, g.log)


def test_old_mail_expires_after_a_failed_try_and_in_russian(gateway, liar):
    r = liar(greylisting)
    g = gateway(to(r.port, max_age="5d") | {"server": {"language": "ru"}})
    mail(g, "x@far.example")
    g.wait_queue(1)
    while_stopped(g, "UPDATE queue SET waited = 5 * 86400")
    g.ctl("sync", "--wait")
    [bounce] = g.wait_box("anna")
    assert "Ваше письмо не удалось доставить".encode() in bounce
    assert b"Status: 4.4.7" in bounce
    g.wait_queue(0)


def test_crash_between_the_last_state_and_the_files(gateway, liar):
    r = liar()
    g = gateway(to(r.port))
    mail(g, "x@far.example")
    g.wait_queue(1)
    while_stopped(g, "UPDATE recipient SET state = 1")
    assert g.json("queue", "list")["messages"] == []
    g.sync()
    assert r.accepted == []
    scratch.wait_for(lambda: not list((g.home / "outqueue").glob("*.e*")), 40, "the files' end")


def test_reload_sends_what_waits_by_the_new_relay(gateway, liar):
    dead, r = scratch.free_port(), liar()
    g = gateway(to(dead) | {"sync": {"on_send": "yes"}})
    mail(g, "x@far.example")
    scratch.wait_for(lambda: "send.relay_failed" in g.log(), 20)
    g.reload({"relay": {"port": r.port}})
    scratch.wait_for(lambda: r.accepted, 20, g.log)
    g.wait_queue(0)


def test_password_command(gateway, liar):
    heard = []

    def reply(verb, arg, connection):
        if verb == "AUTH":
            heard.append(arg)
            return "235 2.7.0 in"
        return None
    r = liar(reply, ["PIPELINING", "AUTH PLAIN"])
    g = gateway(to(r.port, auth="plain", user="me", password_command="printf 'tok-7781\\nsecond'"))
    mail(g, "x@far.example")
    g.sync()
    assert len(r.accepted) == 1
    assert base64.b64decode(heard[0].split()[1]) == b"\0me\0tok-7781"
    assert "tok-7781" not in g.log()


def test_password_command_that_fails_tells_postmaster(gateway, liar):
    r = liar(offers=["AUTH PLAIN"])
    g = gateway(to(r.port, auth="plain", user="me", password_command="exit 3"))
    mail(g, "x@far.example")
    assert g.ctl("sync", "--wait").returncode == 1
    assert g.ctl("sync", "--wait").returncode == 1
    assert b"password_command" in g.wait_box("postmaster")[0]
    assert r.connections == 0
    g.wait_queue(1)


def test_wrong_password_and_then_the_right_one(gateway, liar):
    right = [False]

    def reply(verb, arg, connection):
        if verb == "AUTH":
            return "235 2.7.0 in" if right[0] else "535 5.7.8 bad credentials"
        return None
    r = liar(reply, ["AUTH PLAIN"])
    g = gateway(to(r.port, auth="plain", user="me", password="secret"))
    mail(g, "x@far.example")
    for _ in range(3):
        assert g.ctl("sync", "--wait").returncode == 1
    [report] = g.wait_box("postmaster")
    assert b"app password" in report and b"535 5.7.8" in report
    assert g.box("anna") == []
    right[0] = True
    g.sync()
    assert len(r.accepted) == 1
    g.wait_box("postmaster", 2)
    assert any(b"works again" in m for m in g.box("postmaster"))


def test_many_bounces_are_capped(gateway, liar):
    r = liar(lambda verb, arg, connection: "550 5.1.1 no" if verb == "RCPT" else None, ["PIPELINING", "CHUNKING"])
    g = gateway(to(r.port) | {"server": {"log_level": "info"}})
    with g.smtp() as s:
        for n in range(1010):
            s.mail("anna@office.lan", [f"r{n}@far.example"], gw.message(subject=str(n)))
    g.wait_queue(1010, 60)
    g.ctl("sync", "--wait", timeout=120)
    g.wait_queue(0, 60)
    assert len(g.wait_box("anna", 1000, 60)) == 1000
    assert g.subjects("postmaster") == ["Too many bounces today: anna"]
    # Nothing is dropped without a word: what was held back stands in a list, a restart or not.
    g.restart()
    scratch.wait_for(lambda: len(g.box("postmaster")) == 2, 20, g.log)
    assert g.subjects("postmaster") == ["Bounces that were held back: 10", "Too many bounces today: anna"]
    assert len(g.box("anna")) == 1000
    told = re.findall(rb"^Original-Recipient: rfc822;\s*(\S+)|^Final-Recipient: rfc822;\s*(\S+)|anna -> (\S+)",
                      b"\n".join(g.box("anna") + g.box("postmaster")), re.M)
    told = [b or c for a, b, c in told if b or c]
    assert sorted(x.decode() for x in told) == sorted(f"r{n}@far.example" for n in range(1010))


@pytest.mark.parametrize("offers, at_risk", AT_RISK)
def test_kills_while_sending_lose_nothing_and_repeat_little(gateway, liar, offers, at_risk):
    allowed = 0  # how many the relay takes before a kill, so that something is always left for the next one

    def hesitate(verb, arg, connection):
        for _ in range(5000):
            if verb != "." or len(r.accepted) < allowed:
                return
            time.sleep(0.003)

    r = liar(hesitate, offers)
    g = gateway(to(r.port, connections=2))
    everyone = {f"r{n}@far.example" for n in range(300)}
    with g.smtp() as s:
        for a in sorted(everyone):
            s.mail("anna@office.lan", [a], gw.message(to=a))
    g.wait_queue(300, 60)
    kills = 0
    for more in (90, 70, 50):
        allowed = len(r.accepted) + more
        g.ctl("sync")
        scratch.wait_for(lambda: len(r.accepted) >= allowed, 30, g.log)
        kills += 1
        g.restart(kill=True)
    allowed = 10**6
    g.sync()
    g.wait_queue(0)
    got = [a.recipients[0] for a in r.accepted]
    assert set(got) == everyone
    # Only what was without reply or commit may come twice.
    assert len(got) - len(everyone) <= kills * 2 * at_risk, len(got)
    assert g.box("anna") == [] and g.box("postmaster") == []


@pytest.mark.skipif(gw.BUILD in ("build-asan", "build-tsan"), reason="a sanitizer wants to be loaded first")
@pytest.mark.parametrize("offers, at_risk", AT_RISK)
def test_sending_stops_while_the_disk_stands_still(gateway, liar, tmp_path, monkeypatch, offers, at_risk):
    library, still = tmp_path / "still.so", tmp_path / "still"
    source = pathlib.Path(__file__).parent / "lib/still_disk.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("STILL_DISK", str(still))
    stands = True

    def stand(verb, arg, connection):
        if verb == "MAIL" and stands:
            still.touch()
    r = liar(stand, offers)
    g = gateway(to(r.port, connections=2))
    everyone = {f"r{n}@far.example" for n in range(100)}
    for a in sorted(everyone):
        mail(g, a)
    g.wait_queue(100, 60)
    g.ctl("sync")
    scratch.wait_for(lambda: len(r.accepted) >= at_risk, 30, g.log)
    time.sleep(1)
    taken = len(r.accepted)
    assert taken <= 2 * at_risk
    stands = False
    g.kill()
    still.unlink()
    g.start()
    g.sync()
    g.wait_queue(0)
    got = [a.recipients[0] for a in r.accepted]
    assert set(got) == everyone and len(got) <= len(everyone) + taken

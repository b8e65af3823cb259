"""ofmctl journal: one line a message, its whole fate; and the journal is never the mail's trouble."""
import csv
import io
import json
import subprocess
import time

import pytest

from lib import gateway as gw, liar
from lib.gateway import message


@pytest.fixture
def far():
    """A relay that takes, puts off and refuses by address."""
    def reply(verb, arg, connection):
        if verb != "RCPT":
            return None
        return "450 4.2.0 try later" if "slow" in arg else "550 5.1.1 no such" if "bad" in arg else None
    r = liar.Liar(reply)
    yield r
    r.close()


def with_relay(gateway, far, more=None):
    return gateway(gw.merged({"relay": {"host": "127.0.0.1", "port": far.port, "security": "none"}}, more))


def messages(g, *args):
    return g.json("journal", *args)["messages"]


def test_fate_of_mail_from_the_lan(gateway, far):
    g = with_relay(gateway, far, {"special": {"boss": "archive"}, "user archive": {"password": '"a long one"'}})
    g.send("anna@office.lan", ["boris", "ok@far.example", "slow@far.example", "bad@far.example"], message("Счёт 17"))
    g.wait_queue(1)
    g.ctl("sync", "--wait")
    m = messages(g, "--subject", "счёт", "--to", "far.example")[0]
    assert (m["kind"], m["from"], m["user"], m["peer"]) == ("accepted", "anna@office.lan", "anna", "127.0.0.1")
    assert m["delivered"] == ["boris"] and m["copies"] == ["archive"] and m["subject"] == "Счёт 17"
    states = {r["address"]: (r["state"], r["reply"]) for q in m["outgoing"] for r in q["recipients"]}
    assert states == {"ok@far.example": ("sent", "250 2.0.0 taken"), "slow@far.example": ("deferred", "450 4.2.0 try later"),
                      "bad@far.example": ("bounced", "550 5.1.1 no such")}
    line = g.ctl_ok("journal", "--id", m["id"])
    assert line.count("\n") == 1
    for part in ("accepted from 127.0.0.1", "delivered to boris", "copy to archive", "ok@far.example: sent by 127.0.0.1",
                 "slow@far.example: deferred", "(550 5.1.1 no such)", '"Счёт 17"'):
        assert part in line, (part, line)
    bounce = messages(g, "--user", "anna")[-1]
    assert bounce["kind"] == "written" and bounce["delivered"] == ["anna"]


def test_id_of_the_reply_of_the_queue_and_of_the_message(gateway, far):
    g = with_relay(gateway, far)
    raw = message("one")
    with g.smtp() as s:
        s.mail("anna@office.lan", ["slow@far.example"], raw)
    g.send("boris@office.lan", ["anna"], message("two"))
    g.wait_queue(1)
    kept = next(m for m in messages(g) if m["subject"] == "one")
    queue = g.queue_files()[0].stem
    named = raw.split(b"Message-ID: <")[1].split(b">")[0].decode()
    for i in (kept["id"], queue, named, f"<{named}>"):
        assert [m["subject"] for m in messages(g, "--id", i)] == ["one"], i
    assert messages(g, "--id", "nosuch") == []
    assert f"kept as {kept['id']}" in g.log()


def test_refusals(gateway):
    g = gateway()
    with g.smtp() as s, pytest.raises(AssertionError):
        s.mail("anna@office.lan", ["nobody@office.lan"], message())
    m = messages(g)[0]
    assert m["state"] == "refused" and m["reply"].startswith("550 5.1.1") and m["to"] == ["nobody@office.lan"]


def test_collected_and_sorted(gateway, dovecot, mailbox):
    dovecot.put(mailbox, message("Invoice 9", sender="shop@far.example", to="info@firm.example"))
    dovecot.put(mailbox, message("hello", sender="shop@far.example", to="boris@firm.example"))
    g = gateway({"account shop": {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox,
                                  "password": "secret"},
                 "rule invoices": {"field": "Subject", "contains": "invoice", "deliver": "anna"}})
    g.sync()
    by_subject = {m["subject"]: m for m in messages(g)}
    m = by_subject["Invoice 9"]
    assert (m["kind"], m["account"], m["sorted"], m["delivered"]) == ("collected", "shop", "rule invoices", ["anna"])
    assert m["uidl"] and m["from"] == "shop@far.example" and m["peer"] == "127.0.0.1"
    assert by_subject["hello"]["sorted"] == "address" and by_subject["hello"]["delivered"] == ["boris"]
    assert "collected from shop, sorted by rule invoices; delivered to anna" in g.ctl_ok("journal", "--user", "anna")
    assert [x["subject"] for x in messages(g, "--id", m["uidl"])] == ["Invoice 9"]


def test_filters_and_times(gateway):
    g = gateway()
    g.send("anna@office.lan", ["boris"], message("first"))
    g.send("boris@office.lan", ["anna"], message("second"))

    def subjects(*args):
        return [m["subject"] for m in messages(g, *args)]
    assert subjects() == ["first", "second"]
    assert subjects("--from", "ANNA") == ["first"] and subjects("--to=anna") == ["second"]
    assert subjects("--user", "anna") == ["first", "second"]
    today = time.strftime("%Y-%m-%d")
    for since in ("2h", today, "yesterday", "2020-01-01T00:00"):
        assert subjects("--since", since) == ["first", "second"], since
    assert subjects("--since", "2099-01-01") == []
    for wrong in (["--since", "soon"], ["--since"], ["--nosuch"], ["x"], ["--csv", "--json"]):
        p = g.ctl("journal", *wrong)
        assert p.returncode == 1 and "usage: ofmctl" in p.stderr and not p.stdout, wrong


def test_csv(gateway):
    g = gateway()
    g.send("anna@office.lan", ["boris"], message('a "b", c'))
    rows = list(csv.DictReader(io.StringIO(g.ctl_ok("journal", "--csv"))))
    assert len(rows) == 1 and rows[0]["subject"] == 'a "b", c' and rows[0]["delivered"] == "boris"


def test_follow(gateway, far):
    g = with_relay(gateway, far)
    g.send("anna@office.lan", ["boris"], message("before"))
    p = subprocess.Popen([gw.OFMCTL, "-d", str(g.home), "journal", "--follow", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(p.stdout.readline())["subject"] == "before"
        g.send("anna@office.lan", ["ok@far.example"], message("after"))
        seen = json.loads(p.stdout.readline())
        assert (seen["subject"], seen["state"]) == ("after", "waiting")
        g.wait_queue(1)
        g.ctl_ok("sync", "--wait")
        seen = json.loads(p.stdout.readline())
        assert (seen["subject"], seen["state"]) == ("after", "sent")
    finally:
        p.kill()
        p.wait()


def test_survives_reload_restart_and_kill(gateway):
    g = gateway()
    g.send("anna@office.lan", ["boris"], message("one"))
    g.reload({"user carol": {}})
    g.send("anna@office.lan", ["carol"], message("two"))
    g.restart()
    assert [m["subject"] for m in messages(g)] == ["one", "two"]
    g.restart(kill=True)
    g.send("anna@office.lan", ["boris"], message("three"))
    assert [m["subject"] for m in messages(g)] == ["one", "two", "three"]


@pytest.mark.parametrize("trouble", ["folder", "garbage"])
def test_mail_goes_on_without_a_journal(gateway, trouble):
    g = gateway(start=False)
    (g.home / "state").mkdir()
    if trouble == "folder":
        (g.home / "state/journal.db").mkdir()
    else:
        (g.home / "state/journal.db").write_bytes(b"garbage, garbage" * 4096)
    g.start()
    for i in range(5):
        g.send("anna@office.lan", ["boris"], message(f"m{i}"))
        time.sleep(0.3)
    assert len(g.wait_box("boris", 5)) == 5
    assert [m["subject"] for m in messages(g, "--to", "boris")] == [f"m{i}" for i in range(5)]
    assert list(g.home.glob("state/journal.db.damaged-*"))


@pytest.mark.parametrize("how", ["dd if=/dev/urandom of=$F bs=4096 count=50 conv=notrunc status=none", "truncate -s 100 $F",
                                 "rm -f $F $F-wal $F-shm", "rm -f $F && mkdir $F"])
def test_damage_is_told_and_entries_go_on(gateway, how):
    g = gateway()
    g.send("anna@office.lan", ["boris"], message("before"))
    assert [m["subject"] for m in messages(g)] == ["before"]
    assert "OFMSRV OK" in g.ctl_ok("health")
    subprocess.run(["sh", "-c", how], env={"F": str(g.home / "state/journal.db"), "PATH": "/usr/bin:/bin"}, check=True)
    g.send("anna@office.lan", ["boris"], message("behind"))
    assert "behind" in [m["subject"] for m in messages(g)]
    p = g.ctl("health")
    assert p.returncode == 1 and "the journal was damaged" in p.stdout
    assert g.log().count("journal.damaged") == 1
    assert b"journal.db" in g.wait_box("postmaster", 1)[0]
    g.restart()
    g.send("anna@office.lan", ["boris"], message("last"))
    assert {"behind", "last"} <= {m["subject"] for m in messages(g)}
    assert len([m for m in g.box("postmaster") if b"journal" in m]) == 1


def test_a_journal_that_cannot_be_read_is_an_error(gateway):
    """Not an answer with what could be read of it."""
    g = gateway()
    with g.smtp() as s:
        for i in range(800):
            s.mail("anna@office.lan", ["boris"], message("a subject of some length " * 12))
    assert len(messages(g)) == 800
    g.restart()
    assert len(messages(g)) == 800  # it is open now
    with open(g.home / "state/journal.db", "r+b") as f:
        f.seek(20 * 4096)
        f.write(b"\xee" * 4096 * 12)
    for args in (("journal",), ("journal", "--json"), ("report",)):
        p = g.ctl(*args)
        if p.returncode != 0:
            break
    assert p.returncode == 1 and "the journal" in p.stderr and "put aside" in p.stderr
    assert g.ctl("journal").returncode == 0, "the next question is answered from the new one"


@pytest.mark.parametrize("n", [60, 900])
def test_all_recipients_are_kept(gateway, far, n):
    g = with_relay(gateway, far)
    people = [f"{'slow' if i % 3 == 0 else 'p'}{i}@far.example" for i in range(n)]
    g.send("anna@office.lan", people, message("to many"))
    g.wait_queue(1)
    g.ctl("sync", "--wait")
    m = messages(g, "--to", people[-1])[0]
    assert m["to"] == people
    told = [r["address"] for q in m["outgoing"] for r in q["recipients"]]
    assert sorted(told) == sorted(people)
    line = g.ctl_ok("journal", "--to", people[-1].upper())
    assert line.count("\n") == 1 and f" -> {people[0]}" in line and "more: sent" in line and "more: deferred" in line
    assert next(csv.DictReader(io.StringIO(g.ctl_ok("journal", "--csv"))))["to"].split() == people


def test_pages_with_many_recipients(gateway):
    """Each answer is bounded, and nobody is left out."""
    g = gateway({"relay": {"host": "127.0.0.1", "port": 1, "security": "none"}})
    people = [f"a.rather.long.name.of.somebody.{i}@far.example" for i in range(1000)]
    with g.smtp() as s:
        for i in range(60):
            s.mail("anna@office.lan", people, message(f"{i}"))
    got = messages(g, "--from", "anna")
    assert [m["subject"] for m in got] == [str(i) for i in range(60)] and all(m["to"] == people for m in got)
    assert all(len(m["outgoing"][0]["recipients"]) == 1000 for m in got)

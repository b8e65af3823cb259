"""ofmctl report, and the report that postmaster gets every day."""
import email
import email.policy
import time
import xml.etree.ElementTree as ET

from lib import gateway as gw, liar, scratch
from lib.gateway import message


def busy(gateway, more=None):
    """A gateway with two messages in the house, and one that reaches one of three recipients outside."""
    relay = liar.Liar(lambda verb, arg, c: None if verb != "RCPT" else "450 later" if "slow" in arg
                      else "550 no" if "bad" in arg else None)
    g = gateway(gw.merged({"relay": {"host": "127.0.0.1", "port": relay.port, "security": "none"}}, more))
    g.send("anna@office.lan", ["boris"], message("one", body=b"x" * 3000 + b"\r\n"))
    g.send("boris@office.lan", ["anna", "postmaster"], message("two"))
    g.send("anna@office.lan", ["ok@far.example", "slow@far.example", "bad@far.example"], message("three"))
    with g.smtp() as s:
        s.cmd("MAIL FROM:<anna@office.lan>")
        assert s.cmd("RCPT TO:<nobody@office.lan>")[0] == 550
    g.wait_queue(1)
    g.ctl("sync", "--wait")
    relay.close()
    return g


def test_report_counts(gateway):
    g = busy(gateway)
    r = g.json("report")
    counts = {k: r[k]["count"] for k in ("collected", "accepted", "delivered", "sent", "deferred", "bounced", "refused")}
    # Delivered: boris, anna, postmaster, and the bounce to anna.
    assert counts == {"collected": 0, "accepted": 3, "delivered": 4, "sent": 1, "deferred": 1, "bounced": 1, "refused": 1}
    assert r["accepted"]["bytes"] > 3000 and r["sent"]["bytes"] > 100
    people = {u["name"]: (u["wrote"]["count"], u["sent"]["count"], u["received"]["count"]) for u in r["users"]}
    assert people["anna"] == (2, 1, 2) and people["boris"] == (1, 0, 1)
    assert r["queue"]["length"] == 1 and abs(r["queue"]["oldest_at"] - time.time()) < 120
    assert r["mailboxes"][0]["name"] == "boris" and r["mailboxes"][0]["bytes"] > 3000
    assert sum(r["in_by_hour"]) == 3 and sum(r["out_by_hour"]) == 1
    text = g.ctl_ok("report", "--day", time.strftime("%Y-%m-%d"))
    assert "accepted" in text and "####" in text and "Queue: 1" in text
    assert g.json("report", "--day=2001-01-01")["accepted"]["count"] == 0
    # A further try of the same recipient does not count twice.
    g.ctl("sync", "--wait")
    assert g.json("report")["deferred"]["count"] == 1


def test_report_by_account(gateway, dovecot, mailbox):
    dovecot.put(mailbox, message("a", to="anna@firm.example"), message("b", to="anna@firm.example"))
    g = gateway({"account shop": {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox,
                                  "password": "secret"},
                 "account заказы магазина на углу": {"host": "127.0.0.1", "port": scratch.free_port(), "user": "x",
                                                         "password": "x"}})
    g.ctl("sync", "--wait")
    r = g.json("report")
    lines = g.ctl_ok("report").split("\nAccounts\n")[1].splitlines()[:2]
    assert [line.index(" B  ") for line in lines] == [lines[0].index(" B  ")] * 2, "a long name keeps the columns"
    assert r["collected"]["count"] == 2 and r["accounts"][0]["name"] == "shop"
    assert r["accounts"][0]["collected"]["count"] == 2 and r["accounts"][0]["collected"]["bytes"] > 200


def test_wrong_days(gateway):
    g = gateway()
    for wrong in (["--day", "monday"], ["--day"], ["2026-11-24"], ["--day", "2026-13-01"]):
        p = g.ctl("report", *wrong)
        assert p.returncode == 1 and "usage: ofmctl" in p.stderr, wrong


def daily(g):
    """The report that lies in postmaster's mailbox, once it is there."""
    def found():
        return [m for m in g.box("postmaster") if b"multipart/alternative" in m]
    scratch.wait_for(found, 90, lambda: "the report; " + g.log()[-2000:])
    raw = found()[-1]
    assert b"\r\n" in raw and b"\n" not in raw.replace(b"\r\n", b"")
    return email.message_from_bytes(raw, policy=email.policy.default)


def owe_report(g):
    """As if the last one had been sent the day before yesterday, so that one is owed by now."""
    import sqlite3
    g.stop()
    with sqlite3.connect(g.home / "state/ofmsrv.db") as db:
        db.execute("INSERT OR REPLACE INTO fact(key, value) VALUES('digest.served', ?)",
                   (str(int(time.time()) - 2 * 86400),))
    db.close()
    g.start()


def test_daily_report(gateway):
    minute = time.strftime("%H:%M", time.localtime(time.time() - 60))
    g = busy(gateway, {"special": {"daily_report": minute}})
    assert not [m for m in g.box("postmaster") if b"multipart/alternative" in m], "what was before the key is not owed"
    owe_report(g)
    m = daily(g)
    assert m["Subject"].startswith("Mail report") and m["Auto-Submitted"] == "auto-generated"
    assert m["From"].addresses[0].display_name == "Mail gateway"
    plain = m.get_body(("plain",)).get_content()
    assert "Largest mailboxes" in plain and "boris" in plain
    html = m.get_body(("html",)).get_content()
    page = ET.fromstring(html.split("\n", 1)[1].replace('<meta charset="utf-8">', ""))
    assert page.findall(".//{http://www.w3.org/2000/svg}rect"), "bars"
    g.restart()
    time.sleep(2)
    assert len([m for m in g.box("postmaster") if b"multipart/alternative" in m]) == 1, "once a day"


def test_daily_report_in_russian(gateway):
    g = gateway({"server": {"language": "ru"}, "special": {"daily_report": "00:00"}})
    g.send("anna@office.lan", ["boris"], message("one"))
    owe_report(g)
    m = daily(g)
    assert m["Subject"].startswith("Отчёт о почте") and m["From"].addresses[0].display_name == "Почтовый шлюз"
    assert "принято" in m.get_body(("plain",)).get_content() and "Самые большие ящики" in m.get_body(("html",)).get_content()


def test_reports_of_the_program_itself_in_russian(gateway):
    g = gateway({"server": {"language": "ru"}})
    g.stop()
    for f in (g.home / "state").glob("ofmsrv.db*"):
        f.unlink()
    g.start()
    m = email.message_from_bytes(g.wait_box("postmaster")[0], policy=email.policy.default)
    assert m["Subject"].strip() == "Шлюз восстановил свою базу данных" and "ofmctl queue" in m.get_content()

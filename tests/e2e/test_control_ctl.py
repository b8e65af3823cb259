"""ofmctl and the control socket: what is shown, what is steered, who cannot disturb it."""
import json
import os
import re
import resource
import select
import socket
import stat
import subprocess
import time

import pytest

from lib import gateway as gw, scratch
from lib.gateway import message


def ctl(*args, **kw):
    return subprocess.run([gw.OFMCTL, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, **kw)


def connect(g):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(str(g.home / "state/control.sock"))
    return s


def line_of(s):
    got = b""
    while not got.endswith(b"\n"):
        more = s.recv(1 << 16)
        if not more:
            break
        got += more
    return json.loads(got) if got else None


def waiting(gateway, *recipients):
    """A gateway with one message in its queue, for a relay that is not there."""
    g = gateway({"relay": {"host": "127.0.0.1", "port": scratch.free_port(), "security": "none"}})
    g.send("anna@office.lan", list(recipients) or ["x@far.example"], message("Счёт"))
    g.wait_queue(1)
    scratch.wait_for(lambda: g.json("queue")["messages"], 10, "the queue's row")
    return g


def test_status(gateway):
    g = gateway()
    s = g.json("status")
    assert s["version"] and s["pid"] == g.process.pid and abs(s["since"] - time.time()) < 60
    assert {x["address"] for x in s["listeners"]} == {f"127.0.0.1:{g.smtp_port}", f"127.0.0.1:{g.pop3_port}"}
    assert s["queue"] == {"length": 0, "oldest_at": 0} and s["accounts"] == []
    text = g.ctl_ok("status")
    assert "up since" in text and f"127.0.0.1:{g.smtp_port}" in text and "\033" not in text
    with g.smtp():
        assert g.json("status")["connections"]["smtp"] == 1


def test_users(gateway):
    g = gateway({"user anna": {"name": "Анна Иванова"}})
    g.send("boris@office.lan", "anna@office.lan", message(body=b"x" * 5000 + b"\r\n"))
    size = len(g.wait_box("anna")[0])
    rows = {u["name"]: u for u in g.json("users")["users"]}
    assert (rows["anna"]["messages"], rows["anna"]["bytes"]) == (1, size)
    assert rows["boris"]["messages"] == 0 and rows["daemon"]["daemon"] and rows["postmaster"]["postmaster"]
    lines = g.ctl_ok("users").splitlines()
    column = lines[0].index("ALIAS")
    anna = next(x for x in lines if x.startswith("anna "))
    assert anna[column:].startswith("anna@firm.example"), "columns count characters, not bytes"


def page(g, after):
    with connect(g) as s:
        s.sendall(json.dumps({"do": "queue", "after": after}).encode() + b"\n")
        got = line_of(s)
    return [m["id"] for m in got["messages"]], got["more"]


def test_a_queue_of_more_than_one_page(gateway):
    """100 messages are a page: all are listed, once, in the order in which they came, whichever of them go meanwhile."""
    g = waiting(gateway)
    with g.smtp() as s:
        for n in range(229):
            s.mail("anna@office.lan", ["x@far.example"], message(f"{n}"))
    g.wait_queue(230)
    scratch.wait_for(lambda: g.json("status")["queue"]["length"] == 230, 10, "the queue's length")
    ids = [m["id"] for m in g.json("queue")["messages"]]
    assert len(ids) == 230 and ids == sorted(set(ids))
    assert page(g, ids[9]) == (ids[10:110], True)
    for gone in ids[9], ids[12]:
        g.ctl_ok("queue", "drop", gone)
    assert page(g, ids[9]) == ([*ids[10:12], *ids[13:111]], True)
    assert page(g, ids[200]) == (ids[201:], False) and page(g, ids[-1]) == ([], False)


def test_queue_list_and_show(gateway):
    g = waiting(gateway, "x@far.example", "y@far.example")
    row = g.json("queue", "list")["messages"][0]
    assert row["from"] == "anna@firm.example" and row["recipients"] == 2 and not row["held"]
    assert row["id"] in g.ctl_ok("queue") and g.queue_files()[0].name == row["id"] + ".eml"
    m = g.json("queue", "show", row["id"])["message"]
    assert {r["address"] for r in m["recipients"]} == {"x@far.example", "y@far.example"}
    assert "Subject: Счёт\n" in m["header"] and "text" not in m["header"]
    text = g.ctl_ok("queue", "show", row["id"])
    assert "y@far.example" in text and "Subject: Счёт" in text
    for wrong in ("nosuch", "../" + row["id"], "all"):
        p = g.ctl("queue", "show", wrong)
        assert p.returncode == 1 and wrong in p.stderr and p.stdout == ""


def test_queue_hold_release_drop(gateway):
    g = waiting(gateway)
    ident = g.json("queue")["messages"][0]["id"]
    g.ctl_ok("queue", "hold", ident)
    assert g.json("queue")["messages"][0]["held"] and "held" in g.ctl_ok("queue")
    g.ctl_ok("queue", "release", "all")
    assert not g.json("queue")["messages"][0]["held"]
    p = g.ctl("queue", "drop", "nobody@far.example")
    assert p.returncode == 1 and "address" in p.stderr and p.stdout == ""
    g.ctl_ok("queue", "drop", "x@far.example")
    g.wait_queue(0)
    assert g.json("queue") == {"messages": []} and "empty" in g.ctl_ok("queue")
    assert g.box("anna") == [], "a drop is no bounce"


def test_reload_names_every_fault(gateway):
    g = gateway()
    g.write({"sync": {"every": "soon"}, "pop3": {"port": 70000}})
    p = g.ctl("reload")
    assert p.returncode == 1 and "[sync] every" in p.stderr and "[pop3] port" in p.stderr
    assert scratch.listens(g.pop3_port) and g.json("status")["pid"] == g.process.pid


def test_faulty_ini_still_finds_the_socket(gateway):
    g = gateway({"server": {"control": "state/другой.sock"}})
    g.ini_path.write_text(g.ini_path.read_text() + "\nnonsense\n")
    assert g.ctl("status").returncode == 0
    assert g.ctl("stop").returncode == 0
    assert g.process.wait(10) == 0
    assert not (g.home / "state/другой.sock").exists()


def test_passwd(gateway):
    g = gateway({"user anna": {"password": "alt"}})
    p = subprocess.run([gw.OFMCTL, "-d", str(g.home), "passwd", "anna"], input="Пароль neu\n", text=True,
                       capture_output=True, timeout=60)
    assert p.returncode == 0, p.stderr
    assert "$y$" in g.ini_path.read_text() and "neu" not in g.ini_path.read_text()
    g.pop3("anna", "Пароль neu").quit()
    with pytest.raises(Exception, match="ERR"):
        g.pop3("anna", "alt")
    for user, typed in (("anna", "\n"), ("nobody", "x\n"), ("anna", "a\tb\n"), ("anna", "x" * 300 + "\n")):
        p = subprocess.run([gw.OFMCTL, "-d", str(g.home), "passwd", user], input=typed, text=True,
                           capture_output=True, timeout=60)
        assert p.returncode == 1 and p.stderr.startswith("ofmctl: ")
    g.pop3("anna", "Пароль neu").quit()


def test_stop(gateway):
    g = gateway()
    assert "stopped" in g.ctl_ok("stop")
    assert g.process.wait(5) == 0
    assert not (g.home / "state/control.sock").exists()
    p = g.ctl("status")
    assert p.returncode == 1 and "no ofmsrv answers" in p.stderr


def test_words_for_mistakes():
    p = ctl("stauts")
    assert p.returncode == 1 and "did you mean status" in p.stderr
    assert ctl().returncode == 1 and ctl("--nonsense").returncode == 1
    for args in (["queue", "eat", "all"], ["queue", "drop"], ["account", "resume", "x"], ["reload", "now"],
                 ["stop", "--json"], ["passwd"]):
        p = ctl(*args)
        assert p.returncode == 1 and "usage: ofmctl" in p.stderr, args


def test_words_of_the_daemon_itself():
    def said(*args):
        p = subprocess.run([gw.OFMSRV, *args], capture_output=True, text=True, timeout=20)
        return p.returncode, p.stdout, p.stderr
    for help_ in ("-h", "--help"):
        status, out, err = said(help_)
        assert (status, err) == (0, "") and out.startswith("usage: ofmsrv [-c FILE] [-d DIR]")
    for version in ("-V", "--version"):
        assert re.fullmatch(r"ofmsrv \d+\.\d+\.\d+\n", said(version)[1])
    for args, word in {("-c",): "-c needs a FILE", ("-d",): "-d needs a DIR", ("-x",): "option: -x",
                       ("--nonsense",): "option: --nonsense", ("word",): "unexpected word: word"}.items():
        status, out, err = said(*args)
        assert status == 1 and out == "" and word in err and err.count("\n") == 1, (args, err)


def test_help_of_every_command():
    names = [x.split()[0] for x in ctl("--help").stdout.splitlines() if x.startswith("  ") and x[2] not in " -"]
    assert {"status", "sync", "queue", "users", "passwd", "account", "reload", "stop", "check"} <= set(names)
    for n in names:
        p = ctl(n, "--help")
        assert p.returncode == 0 and p.stdout.startswith("usage: ofmctl") and len(p.stdout.splitlines()) > 2, n


# ---- the socket ----

def test_socket_mode(gateway):
    g = gateway()
    st = os.stat(g.home / "state/control.sock")
    assert stat.S_IMODE(st.st_mode) == 0o660 and stat.S_ISSOCK(st.st_mode)


def test_stale_socket_is_replaced(gateway):
    g = gateway()
    g.kill()
    assert (g.home / "state/control.sock").exists()
    g.start()
    g.ctl_ok("status")


def refused(g):
    g.start(wait=False)
    status = g.process.wait(20)
    g.process = None
    assert status == 1
    return g.stderr()


def test_living_socket_is_not_taken(gateway):
    g = gateway()
    other = gateway({"server": {"control": g.home / "state/control.sock"}}, start=False)
    assert "another ofmsrv is running" in refused(other)
    g.ctl_ok("status")


def test_what_is_no_socket_is_not_removed(gateway):
    g = gateway(start=False)
    (g.home / "precious").write_text("x")
    g.write({"server": {"control": "precious"}})
    assert "no socket" in refused(g)
    assert (g.home / "precious").read_text() == "x"


def test_hostile_clients(gateway):
    g = gateway()
    for junk in (b"\xff\xfe\0\n", b"[" * 50000 + b"\n", b'{"do":"status","x":1}\n', b"\n"):
        with connect(g) as s:
            s.sendall(junk)
            assert line_of(s)["ok"] is False
    with connect(g) as s:
        s.sendall(b"x" * 70000)
        assert "longer" in line_of(s)["error"]
        assert s.recv(10) == b""
    g.ctl_ok("status")


def test_client_that_never_reads(gateway):
    g = gateway()
    with connect(g) as s:
        s.settimeout(0.5)
        try:
            for _ in range(2000):
                s.sendall(b'{"do":"status"}\n' * 100)
        except TimeoutError:
            pass
        else:
            raise AssertionError("200,000 unread answers were taken on")
        begin = time.monotonic()
        g.ctl_ok("status")
        assert time.monotonic() - begin < 3 * gw.SLOWER


def test_too_many_clients(gateway):
    g = gateway()
    idle = [connect(g) for _ in range(32)]
    scratch.wait_for(lambda: g.ctl("status").returncode == 1, 5, "a refusal")
    with g.smtp() as s:
        s.quit()
    for s in idle:
        s.close()
    scratch.wait_for(lambda: g.ctl("status").returncode == 0, 5, "an answer")


def test_answers_when_descriptors_are_exhausted(gateway):
    g = gateway()
    resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    clients = [socket.create_connection(("127.0.0.1", g.smtp_port)) for _ in range(100)]
    time.sleep(0.5)
    greeted = [c for c in select.select(clients, [], [], 0)[0] if c.recv(3) == b"220"]
    assert 0 < len(greeted) < 64
    g.ctl_ok("status")
    for c in clients:
        c.close()
    scratch.wait_for(lambda: g.smtp().quit()[0] == 221, 10, "SMTP again")

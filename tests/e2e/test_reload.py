"""`ofmctl reload` and SIGHUP: what changes in the running program, and what is refused."""
import pathlib
import re
import signal

import pytest

from lib import clients, scratch
from lib.gateway import message, subject

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_ports_change_and_open_connections_go_on(gateway):
    g = gateway()
    smtp, pop3 = g.smtp(), g.pop3("anna", "x")
    old = g.smtp_port
    g.smtp_port = scratch.free_port()
    g.reload({"smtp": {"port": g.smtp_port}})
    assert scratch.listens(g.smtp_port) and not scratch.listens(old)
    smtp.mail("boris@office.lan", "anna@office.lan", message("still here"))
    assert smtp.quit()[0] == 221 and pop3.stat() == (0, 0)
    assert [subject(m) for m in g.wait_box("anna")] == ["still here"]


def test_filter_users_and_rules_change(gateway, dovecot, mailbox):
    g = gateway({"account info": {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox,
                                  "password": "secret", "keep": 0, "deliver": "anna"}})
    with pytest.raises(clients.POP3.Refused):
        g.pop3("carla", "x")
    g.reload({"user carla": {"alias": "carla@firm.example"},
              "rule r": {"field": "Subject", "contains": "for carla", "deliver": "carla"}})
    dovecot.put(mailbox, message("this is FOR CARLA"), message("other"))
    g.sync()
    assert [subject(m) for m in g.wait_box("carla")] == ["this is FOR CARLA"]
    assert [subject(m) for m in g.wait_box("anna")] == ["other"]
    assert g.pop3("carla", "x").stat()[0] == 1
    g.reload({"ip_filter": {"deny": "127.0.0.1"}})
    refused = clients.Line(g.smtp_port).rest()
    assert refused.startswith(b"554 5.7.1"), refused
    g.drop("ip_filter")
    g.reload()
    assert g.smtp().greeting[0] == 220


def test_a_faulty_file_is_refused_whole_and_the_old_one_stays(gateway):
    g = gateway()
    g.write({"pop3": {"timeout": "soon"}, "special": {"boss": "nobody"}, "user carla": {}})
    p = g.ctl("reload")
    assert p.returncode == 1 and p.stdout == ""
    for key in ("pop3] timeout", "special] boss"):
        assert re.search(r"ofmsrv\.ini:\d+: \[" + re.escape(key) + ": .", p.stderr), p.stderr
    with pytest.raises(clients.POP3.Refused):
        g.pop3("carla", "x")
    g.send("anna@office.lan", ["boris@office.lan"], message("as before"))
    assert [subject(m) for m in g.wait_box("boris")] == ["as before"]


def test_a_taken_port_is_refused_and_nothing_changes(gateway):
    g = gateway()
    other = gateway()
    g.write({"smtp": {"port": other.smtp_port}, "user carla": {}})
    p = g.ctl("reload")
    assert p.returncode == 1 and str(other.smtp_port) in p.stderr
    assert scratch.listens(g.smtp_port)
    with pytest.raises(clients.POP3.Refused):
        g.pop3("carla", "x")


@pytest.mark.parametrize("key", ["mailboxes", "outqueue", "state", "control"])
def test_what_is_named_at_start_alone_needs_a_restart(gateway, key):
    g = gateway()
    (g.home / "other").mkdir()
    g.write({"server": {key: "other" if key != "control" else "other/sock"}})
    g.signal(signal.SIGHUP)
    scratch.wait_for(lambda: "needs a restart" in g.log(), 10, "the refusal in the log")
    for p in (g.ctl("reload"), g.ctl("-c", g.ini_path, "reload")):
        line = next(n for n, text in enumerate(g.ini_path.read_text().split("\n"), 1) if text.startswith(f"{key} = other"))
        assert p.returncode == 1 and f"{g.ini_path}:{line}: [server] {key}: needs a restart" in p.stderr, p.stderr


def test_sighup_reloads(gateway):
    g = gateway()
    g.write({"user carla": {}})
    g.signal(signal.SIGHUP)
    scratch.wait_for(lambda: "reload.done" in g.log(), 10, "the reload in the log")
    assert g.pop3("carla", "x").stat() == (0, 0)


def test_the_first_ini_file_of_the_readme_has_no_fault(gateway):
    text = re.search(r"```ini\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    g = gateway(start=False, text=text)
    p = g.ctl("check")
    assert p.returncode == 0, p.stdout + p.stderr


def swap(g, **more):
    """The two servers' ports the other way round."""
    g.smtp_port, g.pop3_port = g.pop3_port, g.smtp_port
    g.reload(gw_sections(g, **more))


def gw_sections(g, smtp="127.0.0.1", pop3="127.0.0.1"):
    return {"smtp": {"port": g.smtp_port, "bind": smtp}, "pop3": {"port": g.pop3_port, "bind": pop3}}


BINDS = [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"),
         ("127.0.0.2, 127.0.0.1", "0.0.0.0, ::"), ("0.0.0.0, 127.0.0.1", "127.0.0.1")]


def test_ports_are_swapped_between_the_servers(gateway):
    """In one reload, to and fro, with every overlap of the addresses before and after; open connections go on."""
    g = gateway()
    smtp, pop3 = g.smtp(), g.pop3("anna", "x")
    for n, (a, b) in enumerate(BINDS + BINDS[::-1]):
        swap(g, smtp=a, pop3=b)
        assert g.smtp().greeting[0] == 220 and g.pop3("boris", "x").quit().startswith("+OK"), (a, b)
        assert scratch.listens(g.smtp_port, "127.0.0.3") == ("0.0.0.0" in a), (a, b)
        assert scratch.listens(g.pop3_port, "127.0.0.3") == ("0.0.0.0" in b), (a, b)
        smtp.mail("boris", "anna", message(str(n)))
        assert pop3.stat() == (0, 0)
    assert "error net.listen" not in g.log()


def test_plain_and_tls_ports_are_exchanged(gateway, ca):
    cert, key = ca.issue("localhost")
    g = gateway({"tls": {"certificate": cert, "key": key}})
    p, s = g.pop3_port, g.smtp_port
    q, t = scratch.free_port(), scratch.free_port()
    g.reload({"pop3": {"tls_port": q}, "smtp": {"tls_port": t}})
    # each of the four is another one's now
    g.reload({"pop3": {"port": t, "tls_port": p}, "smtp": {"port": q, "tls_port": s}})
    assert clients.POP3(t).greeting.startswith("+OK") and clients.POP3(p, tls=True).greeting.startswith("+OK")
    assert clients.SMTP(q).greeting[0] == 220 and clients.SMTP(s, tls=True).greeting[0] == 220
    assert len({x["address"] for x in g.json("status")["listeners"]}) == 4


def test_a_swap_that_cannot_be_changes_nothing(gateway):
    g = gateway()
    other = gateway()
    a, b = g.smtp_port, g.pop3_port
    open_now = g.pop3("anna", "x")
    for change, said in (({"smtp": {"port": b}, "pop3": {"port": other.smtp_port}}, str(other.smtp_port)),
                         ({"smtp": {"port": b, "bind": "0.0.0.0"}, "pop3": {"port": b, "bind": "127.0.0.1"}}, "choose another port")):
        g.write(change)
        p = g.ctl("reload")
        assert p.returncode == 1 and said in p.stderr, p.stderr
        assert clients.SMTP(a).greeting[0] == 220 and clients.POP3(b).greeting.startswith("+OK")
        assert open_now.stat() == (0, 0) and not scratch.listens(b, "127.0.0.2")
        g.write({"smtp": {"port": a, "bind": "127.0.0.1"}, "pop3": {"port": b, "bind": "127.0.0.1"}})


def test_who_connected_before_the_swap_is_served_by_the_old_server(gateway):
    """Connections that the kernel has taken and the program has not, for it is stopped meanwhile."""
    g = gateway()
    a = g.smtp_port
    g.smtp_port, g.pop3_port = g.pop3_port, g.smtp_port
    g.write(gw_sections(g))
    g.signal(signal.SIGSTOP)
    early = [clients.Line(a) for _ in range(5)]
    g.signal(signal.SIGHUP)
    g.signal(signal.SIGCONT)
    scratch.wait_for(lambda: "reload.done" in g.log(), 20, "the reload")
    assert all(c.line().startswith(b"220") for c in early)
    assert clients.POP3(a).greeting.startswith("+OK")

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

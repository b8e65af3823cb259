"""A relay that takes no mail: postmaster hears of it once, with a mend, and once more when it works again."""
import pytest

from lib import scratch
from lib.sending import mail, sync, to

REFUSED = {"refused": (3, b"Internet line"), "silent": (3, b"host, port and security"),
           "busy": (3, b"for now"), "log-in": (1, b"app password"), "certificate": (1, b"ca_file"),
           "no TLS": (1, b"587 goes with starttls"), "setting": (1, b"characters")}


def sections(kind, liar, ca):
    """A relay that fails in that way, and what would set it right."""
    tls = ca.issue("liar.test", also=("localhost",))
    well = liar()
    wrong = {
        "refused": {"port": scratch.free_port()},
        "silent": {"port": liar(lambda verb, arg, c: "-ERR what" if verb == "" else None).port},
        "busy": {"port": liar(lambda verb, arg, c: "421 4.3.2 busy" if verb == "" else None).port},
        "log-in": {"port": liar(lambda verb, arg, c: "535 5.7.8 no" if verb == "AUTH" else None, ["AUTH PLAIN"]).port,
                   "auth": "plain", "user": "me", "password": "secret"},
        "certificate": {"port": liar(tls=tls).port, "security": "starttls", "host": "localhost"},
        "no TLS": {"security": "starttls"},
        "setting": {"user": "\u0438\u043c\u044f", "auth": "plain", "password": "secret"},
    }[kind]
    right = {"host": "127.0.0.1", "port": well.port, "security": "none", "auth": "off"}
    return to(**{**right, **wrong}), right


@pytest.mark.parametrize("kind", REFUSED)
def test_told_once_and_once_more_when_it_works(gateway, liar, ca, kind):
    patience, mend = REFUSED[kind]
    wrong, right = sections(kind, liar, ca)
    g = gateway(wrong)
    mail(g, "x@far.example", subject="waits")
    g.wait_queue(1)
    for _ in range(patience - 1):
        assert sync(g).returncode == 1
    assert g.box("postmaster") == []
    assert sync(g).returncode == 1
    [report] = g.wait_box("postmaster")
    assert mend in report and b"1 message(s) wait" in report and b"Auto-Submitted: auto-generated" in report
    # Neither more failures nor a restart repeat it.
    sync(g)
    g.restart(kill=True)
    for _ in range(patience):
        sync(g)
    assert len(g.box("postmaster")) == 1 and g.box("anna") == []
    g.reload({"relay": right})
    g.sync()
    g.wait_queue(0)
    assert b"what had waited" in g.wait_box("postmaster", 2)[1]
    # What comes later is another outage.
    g.reload({"relay": wrong["relay"]})
    mail(g, "y@far.example")
    g.wait_queue(1)
    for _ in range(patience):
        sync(g)
    g.wait_box("postmaster", 3)


def test_told_in_russian_with_what_the_provider_wants(gateway):
    g = gateway(to(scratch.free_port(), host="127.0.0.1") | {"server": {"language": "ru"}})
    mail(g, "x@far.example")
    g.wait_queue(1)
    for _ in range(3):
        sync(g)
    [report] = g.wait_box("postmaster")
    assert "Шлюз не может отправить почту наружу".encode() in report
    assert "Проверьте связь с Интернетом".encode() in report


def test_other_relays_go_on(gateway, liar):
    well = liar()
    g = gateway(to(scratch.free_port()) | {"relay second": {"host": "127.0.0.1", "port": well.port,
                                                            "senders": "boris@firm.example"}})
    mail(g, "x@far.example")
    mail(g, "y@far.example", sender="boris@office.lan")
    g.wait_queue(2)
    for _ in range(3):
        sync(g)
    assert [a.sender for a in well.accepted] == ["boris@firm.example"]
    [report] = g.wait_box("postmaster")
    assert b"what had waited" not in report

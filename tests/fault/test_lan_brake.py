"""Guessing passwords: one brake for both servers, for each address, and nobody else is locked out."""
import base64
import time

from lib import scratch
from lib.clients import POP3, SMTP
from lib.gateway import message

LIMIT, LIMIT_NAME = 100, 20


def guess_smtp(g, source, name="anna"):
    """A wrong password on a connection of its own, without waiting for the answer."""
    s = SMTP(g.smtp_port, source=source, timeout=60)
    s.send(b"AUTH PLAIN " + base64.b64encode(f"\0{name}\0wrong".encode()) + b"\r\n")
    return s


def banned(g, source="127.0.0.1", user="boris", password="x"):
    with SMTP(g.smtp_port, source=source) as s:
        return s.auth_plain(user, password)[0]


def make_banned(g, source):
    """From many connections at once, or it would take minutes."""
    held = [guess_smtp(g, source, f"n{n % 50}") for n in range(LIMIT + 5)]
    scratch.wait_for(lambda: f'login.banned peer={source} user="" ' in g.log(), 60, lambda: "the ban; " + g.log())
    return held


def test_wrong_passwords_by_smtp_are_answered_slowly(gateway):
    g = gateway({"user anna": {"password": "pw"}})
    began = time.monotonic()
    with SMTP(g.smtp_port) as s:
        for _ in range(3):
            assert s.auth_plain("anna", "no")[0] == 535
        assert time.monotonic() - began > 1 + 2 + 3 - 0.2
        assert s.auth_plain("anna", "pw")[0] == 235
    assert "warning smtp.login_failed" in g.log()


def test_a_name_that_is_none_takes_as_long_as_one_that_is(gateway):
    g = gateway({"user anna": {"password": "pw"}})
    took = []
    for name, source in (("anna", "127.0.0.2"), ("nobody", "127.0.0.3")):
        with SMTP(g.smtp_port, source=source) as s:
            began = time.monotonic()
            assert s.auth_plain(name, "no")[0] == 535
            took.append(time.monotonic() - began)
    assert all(0.9 < t < 3 for t in took), took


def test_the_other_server_counts_on(gateway):
    g = gateway({"user anna": {"password": "pw"}})
    held = [guess_smtp(g, "127.0.0.2") for _ in range(13)]
    scratch.wait_for(lambda: g.log().count("login_failed") == 13, 60, "the failures")
    for source, least, most in (("127.0.0.2", 4, 6), ("127.0.0.3", 0.9, 3)):
        began = time.monotonic()
        with POP3(g.pop3_port, source=source) as p:
            p.ok("USER anna")
            assert p.cmd("PASS no").startswith("-ERR [AUTH]")
        assert least < time.monotonic() - began < most
    for s in held:
        s.close()


def test_an_address_that_goes_on_is_banned_on_both_servers(gateway):
    g = gateway({"user anna": {"password": "pw"}, "user boris": {"password": "x"}})
    held = make_banned(g, "127.0.0.2")
    assert banned(g, "127.0.0.2") == 454
    with POP3(g.pop3_port, source="127.0.0.2") as p:
        p.ok("USER boris")
        assert p.cmd("PASS x").startswith("-ERR [SYS/TEMP]")
    assert banned(g, "127.0.0.3") == 235, "another address"
    with SMTP(g.smtp_port, source="127.0.0.2") as s:  # mail of a scanner without log-in is taken
        s.mail("anna", "boris", message("no log-in"))
    for s in held:
        s.close()
    assert g.log().count("warning login.banned") == 1 and g.log().count("warning login.refused") == 1


def test_a_name_that_is_guessed_at_is_banned_at_that_address(gateway):
    g = gateway({"user anna": {"password": "pw"}, "user boris": {"password": "x"}})
    for name in ("anna", "nobody"):  # whether or not there is such a user
        held = [guess_smtp(g, "127.0.0.2", name) for _ in range(LIMIT_NAME + 1)]
        scratch.wait_for(lambda: f"login.banned peer=127.0.0.2 user={name} " in g.log(), 60, lambda: "the ban; " + g.log())
        for s in held:
            s.close()
        assert banned(g, "127.0.0.2", name, "pw") == 454
    assert banned(g, "127.0.0.2", "boris", "x") == 235, "another name"
    assert banned(g, "127.0.0.3", "anna", "pw") == 235, "another address"


def test_a_user_who_is_known_there_is_not_banned(gateway):
    g = gateway({"user anna": {"password": "pw"}, "user boris": {"password": "x"}, "user clara": {"password": "y"}})
    g.pop3("boris", "x", source="127.0.0.2").quit()
    assert banned(g, "127.0.0.2", "anna", "pw") == 235
    held = make_banned(g, "127.0.0.2")  # they guess at anna's
    for _ in range(3):
        assert banned(g, "127.0.0.2", "boris", "x") == 235
        assert banned(g, "127.0.0.2", "anna", "pw") == 235
        g.pop3("anna", "pw", source="127.0.0.2").quit()
    assert banned(g, "127.0.0.2", "clara", "y") == 454
    for s in held:
        s.close()


def test_a_flood_of_guesses_is_answered_by_few_checks(gateway):
    """What was 12,600 a second."""
    g = gateway({"user anna": {"password": "pw"}})
    held = make_banned(g, "127.0.0.2")
    until, n = time.monotonic() + 5, 0
    while time.monotonic() < until:
        with SMTP(g.smtp_port, source="127.0.0.2") as s:
            assert s.auth_plain("anna", "no")[0] == 454
        n += 1
    for s in held:
        s.close()
    assert g.log().count("login_failed") <= 2 * LIMIT, n


def test_a_session_that_waits_for_its_answer_ends_with_the_program(gateway):
    g = gateway({"user anna": {"password": "pw"}})
    s, p = guess_smtp(g, "127.0.0.2"), POP3(g.pop3_port, source="127.0.0.2")
    p.send(b"USER anna\r\nPASS no\r\n")
    scratch.wait_for(lambda: "pop3.login_failed" in g.log() and "smtp.login_failed" in g.log(), 20, "both failures")
    gone = guess_smtp(g, "127.0.0.2")  # away before its answer
    scratch.wait_for(lambda: g.log().count("smtp.login_failed") == 2, 20, "the third")
    gone.close()
    g.stop()
    s.close()

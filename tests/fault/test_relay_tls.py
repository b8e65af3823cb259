"""The hostile table: TLS that is asked for and not to be had, and log-ins. Where TLS is required, no credential is sent
without it; each mechanism says what its RFC says."""
import base64
import hashlib
import hmac

import pytest

from lib.sending import mail, show, sync, to

LOGIN = {"auth": "plain", "user": "me@firm.example", "password": "secret-7781"}


def tries(g):
    """One message, one sync that fails; what it failed of."""
    mail(g, "x@far.example")
    g.wait_queue(1)
    assert sync(g).returncode == 1
    assert g.box("anna") == []
    return show(g)["recipients"][0]["last_reply"]


def test_starttls_not_offered_sends_no_credential(gateway, liar):
    r = liar(offers=["PIPELINING", "AUTH PLAIN LOGIN"])
    g = gateway(to(r.port, security="starttls", **LOGIN))
    assert "TLS" in tries(g)
    assert r.logins == [] and not r.verbs("AUTH") and not r.verbs("MAIL")


@pytest.mark.parametrize("reply", ["454 4.7.0 not available", "502 5.5.1 unknown", "250 2.0.0 what"])
def test_starttls_refused_sends_no_credential(gateway, liar, ca, reply):
    r = liar(lambda verb, arg, c: reply if verb == "STARTTLS" else None, ["AUTH PLAIN"], tls=ca.issue("liar.test"))
    g = gateway(to(r.port, security="starttls", ca_file=ca.cert, **LOGIN))
    assert "TLS" in tries(g)
    assert r.verbs("STARTTLS") and r.logins == [] and not r.verbs("AUTH") and not r.verbs("MAIL")


def test_text_behind_starttls_sends_no_credential(gateway, liar, ca):
    """Somebody on the line lays an EHLO reply of theirs behind the server's consent."""
    injected = b"220 2.0.0 go\r\n250-liar.test\r\n250 AUTH PLAIN\r\n"
    r = liar(lambda verb, arg, c: injected if verb == "STARTTLS" else None, ["AUTH PLAIN"], tls=ca.issue("liar.test"))
    g = gateway(to(r.port, security="starttls", ca_file=ca.cert, **LOGIN))
    assert "between STARTTLS and TLS" in tries(g)
    assert r.logins == [] and not r.verbs("MAIL")


CERTIFICATES = {"wrong name": {"name": "other.test", "ips": ()}, "expired": {"name": "liar.test", "days": -1},
                "self-signed": {"name": "liar.test", "self_signed": True}}


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("name", CERTIFICATES)
def test_bad_certificate_is_refused_unless_tls_verify_is_no(gateway, liar, ca, name, security):
    r = liar(offers=["PIPELINING", "AUTH PLAIN"], tls=ca.issue(**CERTIFICATES[name]), implicit=security == "tls")
    g = gateway(to(r.port, security=security, ca_file=ca.cert, **LOGIN))
    assert "not trusted" in tries(g)
    assert r.logins == [] and not r.verbs("MAIL")
    assert b"certificate" in g.wait_box("postmaster")[0]
    g.reload({"relay": {"tls_verify": "no"}})
    g.sync()
    assert len(r.accepted) == 1 and r.logins == [("PLAIN", "\0me@firm.example\0secret-7781")]


@pytest.mark.parametrize("security", ["starttls", "tls", "opportunistic"])
def test_good_certificate(gateway, liar, ca, security):
    r = liar(offers=["PIPELINING", "AUTH PLAIN"], tls=ca.issue("liar.test"), implicit=security == "tls")
    g = gateway(to(r.port, security=security, ca_file=ca.cert, **LOGIN))
    mail(g, "x@far.example")
    g.sync()
    assert len(r.accepted) == 1 and r.logins == [("PLAIN", "\0me@firm.example\0secret-7781")]


def test_opportunistic_goes_without_where_none_is_offered(gateway, liar):
    r = liar()
    g = gateway(to(r.port, security="opportunistic"))
    mail(g, "x@far.example")
    g.sync()
    assert len(r.accepted) == 1


def test_capabilities_before_tls_are_not_believed(gateway, liar, ca):
    """CHUNKING offered in plain text, and not any more under TLS: it was somebody else's."""
    r = liar(tls=ca.issue("liar.test"))

    def reply(verb, arg, c):
        if verb == "EHLO" and not r.verbs("STARTTLS"):
            return "250-liar.test\r\n250-CHUNKING\r\n250-PIPELINING\r\n250 STARTTLS"
        return None
    r.reply = reply
    g = gateway(to(r.port, security="starttls", ca_file=ca.cert))
    mail(g, "x@far.example")
    g.sync()
    assert len(r.accepted) == 1 and not r.verbs("BDAT")


# ---- mechanisms ----

def expected(mechanism, user, secret, challenge):
    if mechanism == "PLAIN":
        return [f"\0{user}\0{secret}"]
    if mechanism == "LOGIN":
        return [user, secret]
    if mechanism == "CRAM-MD5":
        return [user + " " + hmac.new(secret.encode(), challenge, hashlib.md5).hexdigest()]
    return [f"user={user}\1auth=Bearer {secret}\1\1"]


@pytest.mark.parametrize("key,mechanism", [("plain", "PLAIN"), ("login", "LOGIN"), ("cram-md5", "CRAM-MD5"), ("auto", "CRAM-MD5"),
                                           ("xoauth2", "XOAUTH2")])
def test_mechanisms(gateway, liar, key, mechanism):
    """The one that is configured, though others are offered; `auto` takes the strongest. The token has 5,000 bytes, more
    than a line of SMTP holds."""
    r = liar(offers=["PIPELINING", "AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2"])
    secret = "tok-" + "Ab9" * 1666 if key == "xoauth2" else "secret-7781"
    given = {"password": secret} if key != "xoauth2" else {}
    g = gateway(to(r.port, auth=key, user="me@firm.example", **given), start=False)
    if key == "xoauth2":
        (g.home / "token").write_text(secret + "\n")
        g.write({"relay": {"password_command": f"cat {g.home}/token"}})
    g.start()
    mail(g, "x@far.example")
    g.sync()
    [(name, *said)] = r.logins
    assert (name, said) == (mechanism, expected(mechanism, "me@firm.example", secret, r.CHALLENGE))
    assert len(r.accepted) == 1
    assert secret not in g.log() and base64.b64encode(secret.encode()).decode() not in g.log()


def test_auth_off_never_logs_in(gateway, liar):
    r = liar(offers=["PIPELINING", "AUTH PLAIN LOGIN"])
    g = gateway(to(r.port, auth="off", user="me", password="secret-7781"))
    mail(g, "x@far.example")
    g.sync()
    assert len(r.accepted) == 1 and r.logins == [] and not r.verbs("AUTH")


def test_mechanism_that_is_not_offered_fails_and_says_so(gateway, liar):
    r = liar(offers=["AUTH LOGIN"])
    g = gateway(to(r.port, auth="cram-md5", user="me", password="secret-7781"))
    assert "log-in" in tries(g)
    assert r.logins == [] and r.accepted == []
    assert b"secret-7781" not in b"".join(g.box("postmaster"))


def test_password_of_another_account_and_a_file(gateway, liar):
    """account = takes that account's user and password; the second relay has a file of its own."""
    first, second = (liar(offers=["AUTH PLAIN"]) for _ in range(2))
    sections = to(first.port, auth="plain", account="info")
    sections["account info"] = {"host": "127.0.0.1", "port": 1, "security": "none", "user": "info@firm.example",
                                "password": "pop-secret", "keep": "forever", "enabled": "no"}
    sections["relay second"] = {"host": "127.0.0.1", "port": second.port, "senders": "*@second.example", "user": "two",
                                "password_file": "etc/secret", "account": None}
    sections["user boris"] = {"alias": "boris@second.example"}
    g = gateway(sections, start=False)
    (g.home / "etc/secret").write_text("file-secret\n")
    (g.home / "etc/secret").chmod(0o600)
    g.start()
    mail(g, "x@far.example")
    mail(g, "y@far.example", sender="boris@office.lan")
    g.sync()
    assert first.logins == [("PLAIN", "\0info@firm.example\0pop-secret")]
    assert second.logins == [("PLAIN", "\0two\0file-secret")]
    assert [a.sender for a in first.accepted + second.accepted] == ["anna@firm.example", "boris@second.example"]

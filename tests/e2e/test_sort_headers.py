"""Sorting on real-life headers, through the real program; `ofmctl explain` says why."""
import base64
import json

import pytest


def account(dovecot, mailbox, **more):
    return {"host": "127.0.0.1", "port": dovecot.port, "security": "none", "user": mailbox, "password": "secret",
            "keep": 0, **more}


RULE = {"field": "Subject", "contains": "счёт", "deliver": "anna"}
WORD = "Новый Счёт за ноябрь"


def b64(charset, text):
    return b"=?%s?B?%s?=" % (charset.encode(), base64.b64encode(text.encode(charset)))


def raw_word(data):
    return b"=?utf-8?B?" + base64.b64encode(data) + b"?="


UTF8 = WORD.encode()
SPELT = {
    "koi8-r": b64("koi8-r", WORD),
    "windows-1251": b64("windows-1251", WORD),
    "utf-8 quoted-printable": b"=?UTF-8?Q?" + b"".join(b"=%02X" % c for c in UTF8) + b"?=",
    "two words": b64("utf-8", "Новый Сч") + b"\r\n " + b64("utf-8", "ёт за ноябрь"),
    "split inside a character": raw_word(UTF8[:15]) + b" " + raw_word(UTF8[15:]),
    "raw utf-8": UTF8,
    "raw koi8-r": WORD.encode("koi8-r"),
    "raw windows-1251": WORD.encode("windows-1251"),
    "upper case": b64("utf-8", WORD.upper()),
    "folded": b"Re:\r\n " + b64("koi8-r", WORD) + b"\r\n\t(fwd)",
}


@pytest.mark.parametrize("name", SPELT)
def test_a_russian_subject_however_it_is_spelt(gateway, dovecot, mailbox, name):
    dovecot.put(mailbox, b"From: x@far.example\r\nSubject: " + SPELT[name] + b"\r\n\r\nbody\r\n",
                b"From: x@far.example\r\nSubject: other\r\n\r\nbody\r\n")
    g = gateway({"account info": account(dovecot, mailbox, deliver="boris"), "rule invoices": RULE})
    g.sync()
    assert SPELT[name] in g.wait_box("anna")[0]
    assert len(g.wait_box("boris")) == 1 and len(g.box("anna")) == 1


ADDRESSED = [
    ("group", b"To: the office: Anna <ANNA@firm.example>, x@far.example;\r\n", "anna"),
    ("comment", b"To: (to (nested) anna) boris@firm.example (really)\r\n", "boris"),
    ("quoted comma", b'To: "Anna, of the firm" <anna@firm.example>\r\n', "anna"),
    ("second field", b"To: x@far.example\r\nCc: y@far.example,\r\n boris@firm.example\r\n", "boris"),
    ("repeated field", b"To: x@far.example\r\nTo: anna@firm.example\r\n", "anna"),
    ("no recipient", b"", "postmaster"),
    ("envelope above Received", b"Delivered-To: anna@firm.example\r\nReceived: by x; date\r\nTo: boris@firm.example\r\n", "anna"),
    ("forged below Received", b"Received: by x; date\r\nDelivered-To: anna@firm.example\r\nTo: boris@firm.example\r\n", "boris"),
]


@pytest.mark.parametrize("name,head,user", ADDRESSED, ids=[a[0] for a in ADDRESSED])
def test_addresses(gateway, dovecot, mailbox, name, head, user):
    dovecot.put(mailbox, head + b"From: x@far.example\r\nSubject: s\r\n\r\nbody\r\n")
    g = gateway({"account info": account(dovecot, mailbox)})
    g.sync()
    assert len(g.wait_box(user)) == 1
    assert sum(len(g.box(u)) for u in ("anna", "boris", "postmaster")) == 1


def test_explain_says_why(gateway, dovecot, mailbox):
    g = gateway({"account info": account(dovecot, mailbox, deliver="boris"), "rule invoices": RULE,
                 "rule not": {"field": "X-Spam", "contains": "yes", "not": "yes", "copy": "yes", "deliver": "boris"}})
    letter = g.home / "letter.eml"
    letter.write_bytes(b"From: x@far.example\r\nSubject: " + SPELT["koi8-r"] + b"\r\n\r\nbody\r\n")
    told = g.ctl_ok("explain", letter, "--account", "info")
    assert "invoices" in told and WORD in told and "anna" in told, told
    answer = json.dumps(g.json("explain", letter, "--account", "info"), ensure_ascii=False)
    assert "invoices" in answer and WORD in answer and "anna" in answer and "boris" in answer, answer
    assert g.box("anna") == [] and g.box("boris") == []


@pytest.mark.parametrize("head, settings", [
    (b"Received: by own; d\r\nReceived: by own; d\r\nEnvelope-To: anna@firm.example\r\nReceived: by far; d\r\n",
     {"envelope_hops": 2}),
    (b"Received: by own; d\r\nReceived: from far (far [192.0.2.1]) by own with ESMTP id 1\r\n\tfor <anna@firm.example>; d\r\n"
     b"Received: by far; d\r\n", {"envelope": "Received", "envelope_hops": 2})], ids=["below Received", "in Received"])
def test_explain_offers_the_settings_that_would_find_the_addressee(gateway, dovecot, mailbox, head, settings):
    g = gateway({"account info": account(dovecot, mailbox)})
    letter = g.home / "letter.eml"
    letter.write_bytes(head + b"From: x@far.example\r\nTo: list@far.example\r\n\r\nbody\r\n")
    advice = g.json("explain", letter, "--account", "info")["advice"]
    for key, value in settings.items():
        assert f"{key} = {value}" in advice, advice
    assert advice in g.ctl_ok("explain", letter, "--account", "info")
    g = gateway({"account info": account(dovecot, mailbox, **settings)})
    assert g.json("explain", letter, "--account", "info")["advice"] is None
    dovecot.put(mailbox, letter.read_bytes())
    g.sync()
    assert len(g.wait_box("anna")) == 1

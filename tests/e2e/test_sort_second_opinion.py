"""Headers as `ofmctl explain` reads them beside what Python's `email` reads: a rule that matches everything shows the whole
decoded text. Where the two differ on purpose, the table says why."""
import base64
import email
import email.header
import json
import random
import re
import subprocess

import pytest

from lib import gateway as gw, scratch

WORDS = ["Счёт", "на оплату", "№ 5", "Договор", "поставки", "Акт сверки", "за ноябрь", "Re:", "Fwd:", "ООО «Ромашка»", "ёлка", "invoice",
         "100 %", "a=b", "срочно!", "Иванов И. И."]
CHARSETS = ["utf-8", "koi8-r", "windows-1251", "iso-8859-5", "cp866"]
SHOWN = 190  # bytes; explain shows an excerpt


def one_word(charset, data, how):
    if how == "b":
        return b"=?%s?B?%s?=" % (charset.encode(), base64.b64encode(data))
    text = b"".join(bytes([c]) if chr(c).isalnum() and c < 128 else b"_" if c == 32 else b"=%02X" % c for c in data)
    return b"=?%s?Q?%s?=" % (charset.encode(), text)


def encoded(rng, text, charset):
    """Split between characters, as honest writers do; any fold between the words."""
    out, at = [], 0
    while at < len(text):
        n = rng.randint(1, 16)
        data = text[at:at + n].encode(charset)
        out.append(one_word(charset, data, rng.choice("bq")))
        at += n
    return b"".join(w + rng.choice([b" ", b"\r\n ", b"\r\n\t"]) for w in out).rstrip()


def generated(seed):
    """[(raw value, the text that it stands for)]"""
    rng, out = random.Random(seed), []
    while len(out) < 40:
        charset = rng.choice(CHARSETS)
        text = " ".join(rng.choices(WORDS, k=rng.randint(1, 4)))
        try:
            text.encode(charset)
        except UnicodeEncodeError:
            continue
        if len(text.encode()) > SHOWN or text != text.strip():
            continue
        out.append((encoded(rng, text, charset), text))
    return out


def jp(text):
    return b"=?ISO-2022-JP?B?" + base64.b64encode(text.encode("iso-2022-jp")) + b"?="


REAL = [
    b"Invoice no. 5",
    b"Re: =?koi8-r?B?8NLJ18XU?=",
    b"=?koi8-r?Q?=F3=DE=A3=D4_=CE=C1_=CF=D0=CC=C1=D4=D5?=",
    b"=?windows-1251?B?0ffl8g==?= 5",
    b"=?UTF-8?B?0KHRh9GR0YI=?=\r\n =?UTF-8?B?INC90LAg0L7Qv9C70LDRgtGD?=",
    b"=?utf-8?q?a?= =?utf-8?q?b?=",
    b"=?utf-8?q?a?=  b  =?utf-8?q?c?=",
    jp("請求書"),
    b"=?iso-8859-1?Q?Gr=FC=DFe?= aus =?iso-8859-15?Q?=A4?=",
    b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
    b"=?utf-8?B?8J+Ygg==?= smile",
    b"=?gb2312?B?xOO6ww==?=",
    b"=?big5?B?p0GmbqFB?=",
    b"=?euc-kr?B?sb65sLTb?=",
    b"=?utf-8*ru?Q?=D0=9F?=",
    b"folded\r\n by a space\r\n\tand a tab",
    "сырой utf-8".encode(),
    b"100% =x= ?? =? plain",
]
# Ours is meant to be otherwise: raw value, what we read, why.
OTHERWISE = [
    ("Привет из прошлого".encode("koi8-r"), "Привет из прошлого", "raw 8-bit of a known kind is read, not replaced"),
    ("Привет из прошлого".encode("windows-1251"), "Привет из прошлого", "the same"),
    (b"=?utf-8?B?0KHR?= =?utf-8?B?h9GR0YI=?=", "Счёт", "a character that a careless client cut in two between words is joined"),
    (b"=?koi8-r?Q?=D3 =DE?=", "с ч", "blanks inside a word are forgiven"),
    (b"=?x-unknown?Q?=D1=87?=", "ч", "an unknown charset is guessed"),
    (b"=?utf-8?B?*?=", "=?utf-8?B?*?=", "a broken word stays as it is"),
    (b"=?cp-1251?Q?=F7?=", "ч", "names of charsets as seen in the wild"),
    (b"a=?utf-8?Q?b?=c", "abc", "a word without blanks around it is a word"),
]


@pytest.fixture(scope="module")
def home():
    h = scratch.folder("opinion")
    for f in ("etc", "mailboxes", "outqueue"):
        (h / f).mkdir()
    (h / "etc/ofmsrv.ini").write_text("[user postmaster]\npassword = p\n" + "".join(
        f"[rule x{i}]\nfield = X-{i}\nmatches = ^.\ndeliver = postmaster\n" for i in range(60)))
    yield h
    scratch.remove(h)


def ours(home, values):
    """What explain reads in each of the raw values: one message, a field for each."""
    (home / "m.eml").write_bytes(b"".join(b"X-%d: %s\r\n" % (i, v) for i, v in enumerate(values)) + b"\r\nbody\r\n")
    p = subprocess.run([gw.OFMCTL, "-d", str(home), "explain", str(home / "m.eml"), "--json"], capture_output=True, timeout=60)
    assert p.returncode == 0, p.stderr
    found = {r["field"]: r["text"] for r in json.loads(p.stdout)["rules"]}
    return [found.get(f"X-{i}") for i in range(len(values))]


def pythons(value):
    """Unfolded as RFC 5322 says, which Python leaves to the caller; then RFC 2047."""
    text = re.sub(rb"[ \t]*\r\n[ \t]+", b" ", value)
    parts = email.header.decode_header(text.decode("utf-8", "surrogateescape"))
    out = ""
    for data, charset in parts:
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
            charset = "utf-8"
        out += data.decode((charset or "utf-8").split("*")[0], "replace")
    return out


def test_real_life_headers(home):
    for raw, mine in zip(REAL, ours(home, REAL)):
        assert mine == pythons(raw), raw


@pytest.mark.parametrize("seed", range(12))
def test_generated_headers(home, seed):
    cases = generated(seed)
    for (raw, text), mine in zip(cases, ours(home, [raw for raw, _ in cases])):
        assert mine == text == pythons(raw), raw


def test_differences_are_meant(home):
    for (raw, wanted, why), mine in zip(OTHERWISE, ours(home, [o[0] for o in OTHERWISE])):
        assert mine == wanted, (raw, why)


def test_fields_are_found_as_python_finds_them(home):
    """Repeated, folded and odd fields: the first that matches is shown, whichever way its name is written."""
    message = (b"x-1: one\r\nX-2 : two\r\nX-3:three\r\nX-4:\r\n four\r\nno field at all\r\nX-5: five\r\nX-5: again\r\nX-6:\r\n"
               b"X-7:\t seven \t\r\n\r\nX-8: body\r\n")
    (home / "m.eml").write_bytes(message)
    p = subprocess.run([gw.OFMCTL, "-d", str(home), "explain", str(home / "m.eml"), "--json"], capture_output=True, timeout=60)
    found = {r["field"].lower(): r["text"] for r in json.loads(p.stdout)["rules"]}
    assert found == {"x-1": "one", "x-2": "two", "x-3": "three", "x-4": "four", "x-5": "five", "x-7": "seven"}
    theirs = email.message_from_bytes(b"x-1: one\r\nX-3:three\r\nX-4:\r\n four\r\nX-5: five\r\n\r\n")
    assert {k.lower(): v.strip() for k, v in theirs.items()}.items() <= found.items()

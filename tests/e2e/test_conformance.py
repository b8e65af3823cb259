"""The same dialogues with Dovecot and with our POP3 server, with Postfix and with our SMTP server. Where the answers differ,
docs/CONFORMANCE.md has a row that says why; a row for what no longer differs is a fault too."""
import pathlib
import re
import time


from lib import scratch
from lib.clients import POP3, SMTP

DOC = scratch.ROOT / "docs/CONFORMANCE.md"
MULTI = ("CAPA", "LIST", "UIDL", "RETR", "TOP", "AUTH")

POP3_DIALOGUES = {
    "before log-in": ["CAPA", "NOOP", "STAT", "LIST", "RETR 1", "DELE 1", "RSET", "UIDL", "TOP 1 0", "PASS x", "USER", "XYZZY", "", "QUIT"],
    "wrong password": ["USER {u}", "PASS wrong", "USER {u}", "PASS", "QUIT"],
    "unknown user": ["USER nobody-of-this-name", "PASS x", "QUIT"],
    "log-in": ["user {u}", "pass {p}", "QUIT"],
    "AUTH": ["AUTH", "AUTH NONE-SUCH", "AUTH PLAIN !", "AUTH PLAIN", "*", "QUIT"],
    "listing": ["USER {u}", "PASS {p}", "STAT", "LIST", "LIST 1", "LIST 2", "LIST 3", "LIST 0", "LIST -1", "LIST x", "LIST 1 2",
                "LIST 99999999999999999999", "UIDL", "UIDL 1", "UIDL 3", "UIDL x", "stat", "STAT 1", "list", "QUIT"],
    "reading": ["USER {u}", "PASS {p}", "RETR 1", "RETR 2", "RETR 3", "RETR 0", "RETR", "RETR x", "RETR 1 2", "TOP 1 0", "TOP 1 1",
                "TOP 1 999", "TOP 1", "TOP", "TOP 3 0", "TOP 1 -1", "TOP 1 x", "TOP 2 3", "QUIT"],
    "deleting": ["USER {u}", "PASS {p}", "DELE 1", "DELE 1", "RETR 1", "TOP 1 0", "LIST 1", "UIDL 1", "LIST", "STAT", "UIDL", "RSET", "STAT",
                 "DELE 3", "DELE x", "DELE", "DELE 2", "STAT", "RSET", "QUIT"],
    "odd ones": ["USER {u}", "PASS {p}", "NOOP", "NOOP 1", "noop", "XYZZY", "", "LAST", "USER {u}", "PASS {p}", "AUTH PLAIN", "CAPA",
                 "RSET 1", "STLS", "QUIT"],
}

SMTP_DIALOGUES = {
    "greeting": ["NOOP", "HELO", "EHLO", "HELO x", "EHLO x", "ehlo x", "EHLO [127.0.0.1]", "QUIT"],
    "order": ["EHLO x", "RCPT TO:<{r}>", "DATA", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>", "DATA", "RCPT TO:<{r}>", "RSET", "DATA",
              "RCPT TO:<{r}>", "QUIT"],
    "before EHLO": ["MAIL FROM:<a@b.example>", "RCPT TO:<{r}>", "RSET", "VRFY {r}", "QUIT"],
    "MAIL": ["EHLO x"] + [x for line in (
        "MAIL FROM:<a@b.example>", "mail from:<a@b.example>", "MAIL FROM: <a@b.example>", "MAIL FROM:a@b.example", "MAIL FROM:<>",
        "MAIL FROM:<a@b.example> SIZE=100", "MAIL FROM:<a@b.example> size=100", "MAIL FROM:<a@b.example> SIZE=abc",
        "MAIL FROM:<a@b.example> SIZE=", "MAIL FROM:<a@b.example> BODY=8BITMIME", "MAIL FROM:<a@b.example> BODY=7BIT",
        "MAIL FROM:<a@b.example> BODY=FOO", "MAIL FROM:<a@b.example> FOO=BAR", "MAIL FROM:<a@b.example> SIZE=1 BODY=7BIT",
        "MAIL FROM:<a@b.example", "MAIL FROM:<a b@c.example>", "MAIL FROM:<@x.example:a@b.example>", "MAIL FROM:", "MAIL", "MAIL TO:<a@b.example>",
        'MAIL FROM:<"a b"@c.example>', "MAIL FROM:<a@b.example>>", "MAIL FROM:<a@[127.0.0.1]>", "MAIL FROM:<a@b.example> =",
        "MAIL FROM:<a@b.example> SIZE=99999999999999999999")
        for x in (line, "RSET")] + ["QUIT"],
    "names": [x for line in ("HELO ", "EHLO ", "HELO a b", "HELO foo_bar", "HELO [1.2.3.4", "HELO [ip]", "EHLO [300.1.1.1]", "EHLO [IPv6:x]",
                             "HELO (none)", 'HELO "x y"', "HELO <pc>", "HELO pc\t", "  HELO pc", "HELO  pc", "HELO\tpc", "HELO .", "HELO @",
                             "EHLO принтер") for x in (line, "MAIL FROM:<a@b.example>", "RSET")] + ["QUIT"],
    "devices": ["EHLO x"] + [x for line in (
        "MAIL FROM: a@b.example", "MAIL FROM:  a@b.example  ", "MAIL FROM:\t<a@b.example>", "MAIL\tFROM:<a@b.example>", "MAIL  FROM:<a@b.example>",
        "MAIL FROM <a@b.example>", "MAIL FROM<a@b.example>", "MAIL FROM a@b.example", "MAIL FROM : <a@b.example>",
        "MAIL FROM:<Name <a@b.example>>", "MAIL FROM:<Na me <a@b.example>>", "MAIL FROM:Name <a@b.example>", 'MAIL FROM:"Na me" <a@b.example>',
        'MAIL FROM:"Na me"<a@b.example>', "MAIL FROM:<a@b.example> (c)", "MAIL FROM:(c) <a@b.example>", "MAIL FROM:a@b.example>",
        "MAIL FROM:<<a@b.example>>", "MAIL FROM:<<a@b.example>", "MAIL FROM:< a@b.example >", "MAIL FROM:<a@b.example >", "MAIL FROM:<a@b .example>",
        "MAIL FROM:<a@b.example.>", "MAIL FROM:<a@>", "MAIL FROM:<@b.example>", "MAIL FROM:<a>", "MAIL FROM:<> ", "MAIL FROM:< >", 'MAIL FROM:""',
        "MAIL FROM:<a@b.example>\tSIZE=10", "MAIL FROM:<a@b.example>  SIZE=10 \t BODY=8BITMIME ", "MAIL FROM:<a@b.example>SIZE=10",
        "MAIL FROM:<a@b.example> SIZE= 10", "MAIL FROM:<a@b.example> SMTPUTF8", "MAIL FROM:<a@b.example> BODY=8BITMIME SMTPUTF8",
        "MAIL FROM:<анна@b.example>", "MAIL FROM:<анна@b.example> SMTPUTF8", "MAIL FROM:<анна@почта.рф> SMTPUTF8", "MAIL FROM:<a@[127.0.0.1>",
        "MAIL FROM:<a@@b.example>", "MAIL FROM:<a@b@c.example>", "MAIL FROM:<a,b@c.example>", "MAIL FROM:<a:b@c.example>",
        "MAIL FROM:'a@b.example'", "MAIL FROM:<mailto:a@b.example>", "MAIL FROM:<a@b.example>,<c@d.example>", "MAIL FROM:=<a@b.example>",
        "MAIL FROM:<a(c)@b.example>", "MAIL FROM:<a@b.example>;", "MAIL FROM:<a!b>", "MAIL FROM:<a%b@c.example>")
        for x in (line, "RSET")] + ["QUIT"],
    "devices, RCPT": ["EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO: {r}", "RCPT TO:  {r}  ", "RCPT TO:\t<{r}>", "RCPT\tTO:<{r}>", "RCPT TO <{r}>",
                      "RCPT TO:<Name <{r}>>", "RCPT TO:Name <{r}>", "RCPT TO:{r}>", "RCPT TO:<{r}>>", "RCPT TO:< {r} >", "RCPT TO:<{r}.>",
                      "RCPT TO:<{r}>\t", "RCPT TO:<mailto:{r}>", "RCPT TO:< >", "DATA ", "x\r\n.", "QUIT"],
    "RCPT": ["EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<{r}>", "rcpt to:<{r}>", "RCPT TO: <{r}>", "RCPT TO:{r}", "RCPT TO:<>", "RCPT TO:<{r}",
             "RCPT", "RCPT TO:", "RCPT FROM:<{r}>", "RCPT TO:<{r}> FOO=BAR", "RCPT TO:<a b@c.example>", "RCPT TO:<postmaster>", "RCPT TO:<@x.example:{r}>",
             "QUIT"],
    "DATA": ["EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<{r}>", "DATA x", "DATA", "Subject: x\r\n\r\n..\r\ntext\r\n.", "DATA", "RSET", "QUIT"],
    "empty message": ["EHLO x", "MAIL FROM:<>", "RCPT TO:<{r}>", "DATA", ".", "QUIT"],
    "BDAT without a size": ["EHLO x", "BDAT", "NOOP", "QUIT"],
    "BDAT": ["EHLO x", "BDAT 0 LAST", "MAIL FROM:<a@b.example>", "BDAT 0 LAST", "RSET", "MAIL FROM:<a@b.example>", "RCPT TO:<{r}>",
             "BDAT 6\r\nA: b\r\n", "DATA", "RSET", "MAIL FROM:<a@b.example>", "RCPT TO:<{r}>", "BDAT 12 LAST\r\nA: b\r\n\r\nok\r\n", "QUIT"],
    "others": ["EHLO x", "NOOP", "NOOP x", "RSET x", "RSET", "VRFY {r}", "VRFY", "EXPN all", "HELP", "ETRN x", "XYZZY", "", "STARTTLS", "AUTH",
               "AUTH NONE-SUCH", "AUTH PLAIN !", "QUIT"],
    "QUIT with a word behind": ["EHLO x", "QUIT x"],
}

MESSAGES = [b"From: a@b.example\r\nSubject: one\r\n\r\nline 1\r\nline 2\r\n",
            b"From: a@b.example\r\nSubject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\nend\r\n"]


def differences(text, server):
    """The rows of that section of the document: {(dialogue, step): (theirs, ours)}; steps are repeatable."""
    section = re.search(rf"(?ms)^## {server}\n(.*?)(?=^## |\Z)", text).group(1)
    rows = re.findall(r"(?m)^\| ([^|]+) \| `([^`]*)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", section)
    return {(d.strip(), s): (theirs.strip(), ours.strip()) for d, s, theirs, ours, why in rows if why.strip()}


def compare(server, theirs, ours):
    """theirs, ours: [((dialogue, step), answer)]."""
    documented = differences(DOC.read_text(), server)
    found = {}
    for name in dict.fromkeys(d for (d, _), _ in theirs):
        # where one side has closed, the dialogue ends
        for (key, a), (_, b) in zip((x for x in theirs if x[0][0] == name), (x for x in ours if x[0][0] == name)):
            if a != b:
                found.setdefault(key, (a, b))
    new = {k: v for k, v in found.items() if documented.get(k) != v}
    stale = [k for k in documented if k not in found]
    rows = "\n".join(f"| {d} | `{s}` | {a} | {b} |  |" for (d, s), (a, b) in new.items())
    assert not new, f"differences without a row in {DOC.name}:\n{rows}"
    assert not stale, f"rows of {DOC.name} for what does not differ: {stale}"


# ---- POP3 ----

def pop3_answer(c, line):
    c.send(line + "\r\n")
    said = c.line().decode()
    verb, _, rest = line.upper().partition(" ")
    if said.startswith("+OK") and verb in MULTI and (verb in ("CAPA", "RETR", "TOP") or not rest):
        body = c.body()
        if verb in ("RETR", "TOP"):
            return "+OK", body
        return "+OK", body.count(b"\r\n") if verb in ("LIST", "UIDL") else "list"
    status = said.split(" ")[0]
    if status == "+OK" and verb in ("STAT", "LIST"):
        return status, said.split(" ")[1:]
    return status, ""


def pop3_run(port, user, password):
    out, bodies = [], []
    for name, lines in POP3_DIALOGUES.items():
        with POP3(port) as c:
            for line in lines:
                line = line.format(u=user, p=password)
                shown = line.replace(user, "{u}").replace(password, "{p}")
                try:
                    status, more = pop3_answer(c, line)
                except (EOFError, ConnectionError):
                    status, more = "closed", ""
                if isinstance(more, bytes):
                    bodies.append((name, shown, more))
                elif isinstance(more, list):
                    status += " " + " ".join(more)
                elif more != "":
                    status += f", {more}"
                out.append(((name, shown), status))
                if status == "closed":
                    break
    return out, bodies


def test_pop3_as_dovecot(gateway, dovecot, mailbox):
    g = gateway({"user conf": {"password": "secret"}})
    for m in MESSAGES:
        dovecot.put(mailbox, m)
    time.sleep(0.05)
    box = g.home / "mailboxes/conf"
    for n, m in enumerate(MESSAGES):
        (box / "new" / f"{1700000000 + n}.{n:020x},S={len(m)}").write_bytes(m)
    theirs, their_bodies = pop3_run(dovecot.port, mailbox, "secret")
    ours, our_bodies = pop3_run(g.pop3_port, "conf", "secret")
    compare("POP3 beside Dovecot", theirs, ours)
    assert our_bodies == their_bodies, "every RETR and TOP gives the same bytes"


# ---- SMTP ----

def smtp_run(port, recipient):
    out = []
    for name, lines in SMTP_DIALOGUES.items():
        with SMTP(port, helo=None) as c:
            out.append(((name, "greeting"), str(c.greeting[0])))
            for line in lines:
                shown = line.replace("\r\n", " / ")
                c.send(line.format(r=recipient) + ("" if line.startswith("BDAT ") and "\r\n" in line else "\r\n"))
                try:
                    answer = str(c.reply()[0])
                except (EOFError, ConnectionError):
                    answer = "closed"
                out.append(((name, shown), answer))
                if answer == "closed":
                    break
    return out


def test_smtp_as_postfix(gateway, postfix):
    g = gateway()
    compare("SMTP beside Postfix", smtp_run(postfix.notls_port, "boris@office.lan"), smtp_run(g.smtp_port, "boris@office.lan"))


def test_each_row_has_a_reason():
    text = pathlib.Path(DOC).read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "`" in line]
    assert rows
    for row in rows:
        assert len(row.strip("|").rsplit("|", 1)[-1].strip()) > 15, row

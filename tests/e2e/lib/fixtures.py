"""Fixtures: `gateway` makes gateways that end with the test; ca, dovecot and postfix live as long as the file's tests."""
import itertools
import os

import pytest

from . import ca as ca_module
from . import dovecot as dovecot_module
from . import gateway as gateway_module
from . import liar as liar_module
from . import pop3liar as pop3liar_module
from . import postfix as postfix_module
from . import proxy as proxy_module


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    setattr(item, "report_" + outcome.get_result().when, outcome.get_result())


@pytest.fixture
def gateway(request):
    """gateway(sections) starts one; all are stopped at the end, cleanly and without a word from a sanitizer."""
    made = []

    def make(sections=None, start=True, wait=True, **kw):
        g = gateway_module.Gateway(sections, start=False, **kw)
        made.append(g)
        if start:
            g.start(wait)
        return g
    yield make
    failed = getattr(request.node, "report_call", None) is not None and request.node.report_call.failed
    for g in made:
        if failed:
            print(f"--- log of {g.home} ---\n" + g.log()[-6000:] + "\n--- its stderr ---\n" + g.stderr()[-3000:])
    errors = []
    for g in made:
        try:
            g.close()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors or failed, errors


@pytest.fixture(scope="session")
def ca():
    c = ca_module.CA()
    yield c
    c.close()


@pytest.fixture(scope="session")
def dovecot(ca):
    d = dovecot_module.Dovecot(ca)
    yield d
    d.close()


@pytest.fixture
def inspector():
    """For tests that look into the program's process: its memory, descriptors, system calls."""
    if os.getuid() != 0:
        pytest.skip("the gateway lets nobody but root look into it")


@pytest.fixture(scope="session")
def postfix(ca, dovecot):
    if os.getuid() != 0:
        pytest.skip("Postfix runs as root alone")
    p = postfix_module.Postfix(ca, dovecot)
    yield p
    p.close()


@pytest.fixture
def relay(postfix):
    """The same Postfix with an empty Maildir and no refusals left over."""
    if (postfix.mail / "new").exists():
        postfix.clear()
    yield postfix
    if postfix.refusing:
        postfix.refuse()


@pytest.fixture
def proxy():
    """proxy(port, delay=…) makes proxies that end with the test."""
    made = []

    def make(*args, **kw):
        made.append(proxy_module.Proxy(*args, **kw))
        return made[-1]
    yield make
    for p in made:
        p.close()


@pytest.fixture
def liar():
    """liar(reply, offers) makes lying relays that end with the test."""
    made = []

    def make(*args, **kw):
        made.append(liar_module.Liar(*args, **kw))
        return made[-1]
    yield make
    for one in made:
        one.close()


_serial = itertools.count(1)


@pytest.fixture
def mailbox(dovecot):
    """The name of a fresh, empty mailbox at the provider (password "secret")."""
    return dovecot.add_user(f"box{next(_serial)}")


@pytest.fixture
def provider():
    """provider(messages, …) makes lying providers (pop3liar.py) that end with the test."""
    made = []

    def make(*args, **kw):
        made.append(pop3liar_module.Provider(*args, **kw))
        return made[-1]
    yield make
    for p in made:
        p.close()

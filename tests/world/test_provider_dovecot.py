"""The tests of peers/collecting.py, with dovecot as the provider."""
from peers.collecting import *  # noqa: F403

PEER = "dovecot"

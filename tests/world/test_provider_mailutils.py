"""The tests of peers/collecting.py, with mailutils as the provider."""
from peers.collecting import *  # noqa: F403

PEER = "mailutils"

"""The tests of peers/collecting.py, with cyrus as the provider."""
from peers.collecting import *  # noqa: F403

PEER = "cyrus"

"""The tests of peers/collecting.py, with courier as the provider."""
from peers.collecting import *  # noqa: F403

PEER = "courier"

"""The tests of peers/collecting.py, with solid as the provider."""
from peers.collecting import *  # noqa: F403

PEER = "solid"

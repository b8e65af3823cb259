"""The tests of peers/collecting.py, with popa3d as the provider."""
from peers.collecting import *  # noqa: F403

PEER = "popa3d"

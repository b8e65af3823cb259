"""The fixtures of lib/fixtures.py, for the tests of this folder."""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib.fixtures import *  # noqa: E402, F403

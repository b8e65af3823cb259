"""What the bench's jobs stand on: tools, contests, peers, the report. It borrows the end-to-end tests' gateway and scratch
folders."""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))

"""Crashes on purpose: a preloaded shim that kills, fails and writes down; the peers; the load; the audit."""

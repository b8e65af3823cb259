"""One module a job; each has run(options) that returns rows."""

"""Following the log: what is committed in carts gets to a sink, in order, and nothing is skipped.

See docs/decisions/0017-following-the-log.md.
"""

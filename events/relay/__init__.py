"""Following the log: what is committed in carts gets to a sink, in order, and nothing is skipped.

See docs/decisions/0016-following-the-log.md.
"""

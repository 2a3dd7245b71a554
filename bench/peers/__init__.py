"""Cartroom and three well-known servers on the same cart work: `python -m bench.peers`."""

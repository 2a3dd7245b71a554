"""The service in a bottle: production instances on a simulated clock, store, Redis and network.

A seed decides everything: what shoppers do, how long each message takes, which faults strike at
which await. So a seed replays exactly. `python -m tests.simulation --help` says how to run it.
"""

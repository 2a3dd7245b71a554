"""The store and Redis as supervised children, for a machine that has neither."""

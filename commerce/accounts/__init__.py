"""Accounts: registering, logging in, access tokens."""

"""Mails about what others have changed in one's carts: whether, when, and what they say."""

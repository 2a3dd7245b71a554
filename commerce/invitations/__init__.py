"""Inviting people to a cart by their e-mail address."""

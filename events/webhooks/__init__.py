"""Events to the endpoints that shops have registered, after Standard Webhooks.

See docs/webhooks.md for receivers, docs/decisions/0021-webhooks.md for how it holds.
"""

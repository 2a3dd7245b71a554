"""Mails about changes in carts, by the settings."""

from __future__ import annotations

from commerce.notifying.unsubscribing import UnsubscribeTokens, Unsubscribing
from server.settings import Settings
from storage.cart_settings import CartSettings
from storage.mongo import Database
from storage.users import Users


def unsubscribe_tokens(settings: Settings) -> UnsubscribeTokens:
    """Every instance and worker reads what any of them makes."""
    return UnsubscribeTokens((settings.jwt_secret or "", *settings.jwt_secrets_old))


def unsubscribing(settings: Settings, database: Database) -> Unsubscribing:
    return Unsubscribing(Users(database), CartSettings(database), unsubscribe_tokens(settings))

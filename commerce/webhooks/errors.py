"""What can be refused about webhooks."""

from __future__ import annotations


class WebhookError(Exception):
    """The text is a sentence for an administrator."""


class NoSuchWebhookError(WebhookError):
    def __init__(self) -> None:
        super().__init__("There is no such webhook")


class NoSuchDeliveryError(WebhookError):
    def __init__(self) -> None:
        super().__init__("There is no such delivery, or not any more")


class InvalidWebhookError(WebhookError):
    """A field isn't as it must be."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__("Some fields are not as they must be; `errors` names them")
        self.field = field
        self.text = text


class WebhookConflictError(WebhookError):
    """It can't be done as things are."""

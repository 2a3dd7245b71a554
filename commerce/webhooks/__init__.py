"""Webhooks: where shops that have no Kafka are told what happens."""

"""`cartroom dead-letters` where it can do nothing; test_kafka_consumer.py has the rest."""

from __future__ import annotations

import pytest

from server import cli
from tests.helpers import steady_port


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)


def test_without_kafka_it_says_what_is_missing(capsys):
    assert cli.main(["dead-letters", "list"]) == 2
    assert capsys.readouterr().err == (
        "cartroom: Dead letters are on Kafka. Set KAFKA_BOOTSTRAP.\n"
    )


@pytest.mark.parametrize("action", [["list"], ["show", "3"], ["replay", "--all"]])
def test_while_kafka_is_away_it_says_so(capsys, monkeypatch, action):
    monkeypatch.setenv("KAFKA_BOOTSTRAP", f"127.0.0.1:{steady_port()}")
    assert cli.main(["dead-letters", *action]) == 2
    assert (
        "Kafka doesn't answer at KAFKA_BOOTSTRAP (KafkaConnectionError" in capsys.readouterr().err
    )


@pytest.mark.parametrize("action", [[], ["replay"], ["show"], ["replay", "three"], ["bury"]])
def test_what_it_does_not_know_is_told(capsys, action):
    with pytest.raises(SystemExit) as ended:
        cli.main(["dead-letters", *action])
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err

"""Listeners of Kafka's for those alone who are known: by a password over TLS, or a certificate."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization as pem

PASSWORDS, CERTIFICATES = "PASSWORDS", "CERTIFICATES"
PROTOCOLS = {PASSWORDS: "SASL_SSL", CERTIFICATES: "SSL"}
MECHANISMS = ("PLAIN", "SCRAM-SHA-512")
USER = "cartroom"
MODULES = "org.apache.kafka.common.security"


@dataclass
class Secured:
    """What the listeners are told, with files in a folder; and what their clients have to know."""

    folder: Path
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    authority: trustme.CA = field(default_factory=trustme.CA)

    @property
    def ca(self) -> Path:
        """A PEM file: who has signed the listeners' certificate."""
        return self.folder / "ca.pem"

    def properties(self) -> dict[str, str]:
        """Settings of a broker that has both listeners. Writes the files."""
        self.authority.cert_pem.write_to_path(self.ca)
        ours = self.authority.issue_cert("127.0.0.1")
        keystore = self.folder / "keystore.pem"
        chain = b"".join(one.bytes() for one in ours.cert_chain_pems)
        keystore.write_bytes(_as_kafka_reads_it(ours.private_key_pem.bytes()) + chain)
        settings = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(keystore),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca),
        }
        own = f"listener.name.{CERTIFICATES.lower()}."
        settings[f"{own}ssl.client.auth"] = "required"
        own = f"listener.name.{PASSWORDS.lower()}."
        settings[f"{own}sasl.enabled.mechanisms"] = ",".join(MECHANISMS)
        for mechanism, module in zip(
            MECHANISMS,
            (
                f'plain.PlainLoginModule required user_{USER}="{self.password}"',
                "scram.ScramLoginModule required",
            ),
            strict=True,
        ):
            settings[f"{own}{mechanism.lower()}.sasl.jaas.config"] = f"{MODULES}.{module};"
        return settings

    def format_arguments(self) -> list[str]:
        """What makes a new cluster know the password."""
        return ["--add-scram", f"{MECHANISMS[1]}=[name={USER},password={self.password}]"]


def _as_kafka_reads_it(key: bytes) -> bytes:
    """A private key in PEM, as PKCS #8."""
    return pem.load_pem_private_key(key, None).private_bytes(
        pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()
    )

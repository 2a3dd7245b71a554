"""The data folder: who holds it, what runs on it, and what must be kept.

| path | what |
|---|---|
| `lock` | held by the process that runs the services; says which |
| `run.json` | its services: addresses, process ids and start times; readable by its owner only |
| `address` | where that process can be reached by HTTP, once it can |
| `secret` | signs access tokens; readable by its owner only |
| `store/` `redis/` `log/` | of the children |
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from server.embedded import processes
from server.embedded.processes import Process

log = logging.getLogger(__name__)

FREE_BYTES_MIN = 32 * 1024 * 1024
SECRET_BYTES = 32
SECRET_CHARACTERS_MIN = 32


class EmbeddedError(Exception):
    """The embedded services can't run. The message is one line and names what to do."""


class FolderInUseError(EmbeddedError):
    """Another process holds the data folder."""


class Endpoints(msgspec.Struct, frozen=True):
    """The services that a process runs on a data folder. A URL is None where it uses another's.

    `ready` turns true once all of them have answered.
    """

    command: str
    owner: Process
    ready: bool
    mongodb_url: str | None
    redis_url: str | None
    children: list[Process]


class DataFolder:
    """A data folder by its absolute path. Nothing is touched before `prepare`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.store = self.path / "store"
        self.redis = self.path / "redis"
        self.log = self.path / "log"

    def prepare(self) -> None:
        """Create the folder and check that it can be written. Raises EmbeddedError."""
        try:
            for folder in (self.path, self.store, self.redis, self.log):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path) as probe:
                probe.write(b"\0" * 4096)
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            raise self._unusable(error) from error
        if free < FREE_BYTES_MIN:
            raise EmbeddedError(
                f"The disk of the data folder {self.path} is full: {free >> 20} MiB are free,"
                f" {FREE_BYTES_MIN >> 20} are needed. Make room, or set CARTROOM_DATA to a folder"
                " on another disk."
            )

    @contextlib.contextmanager
    def hold(self, command: str) -> Iterator[None]:
        """Hold the folder for this process. Raises FolderInUseError while another does.

        The kernel frees the lock when the process ends, however it ends. The children don't
        inherit it.
        """
        self.prepare()
        with self._open_lock() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                holder = file.readline(200).strip() or "another process"
                raise FolderInUseError(
                    f"The data folder {self.path} is in use by {holder}."
                    " Stop that first, or set CARTROOM_DATA to another folder."
                ) from None
            file.truncate(0)
            file.write(f"`cartroom {command}`, process {os.getpid()}\n")
            file.flush()
            yield

    def _open_lock(self) -> TextIO:
        try:
            return (self.path / "lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise self._unusable(error) from error

    def endpoints(self) -> Endpoints | None:
        """What `run.json` says, whether it is still so or not; None where there is nothing."""
        try:
            return msgspec.json.decode((self.path / "run.json").read_bytes(), type=Endpoints)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except msgspec.MsgspecError:
            log.warning("run.json of the data folder can't be read and is ignored")
            return None
        except OSError as error:
            raise self._unusable(error) from error

    def remember(self, endpoints: Endpoints) -> None:
        """Write `run.json`, whole or not at all. Raises EmbeddedError."""
        self._write_private("run.json", msgspec.json.encode(endpoints))

    def remember_address(self, address: str) -> None:
        """Write down where the holder can be reached by HTTP. Raises EmbeddedError."""
        self._write_private("address", address.encode())

    def address(self) -> str | None:
        """Where the holder can be reached by HTTP; None until it can."""
        try:
            return (self.path / "address").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error) from error

    def forget(self) -> None:
        for name in ("address", "run.json"):
            (self.path / name).unlink(missing_ok=True)

    def end_leftovers(self) -> None:
        """End the children of a holder that was killed. The folder must be held."""
        endpoints = self.endpoints()
        for child in endpoints.children if endpoints else ():
            try:
                if processes.end(child):
                    log.warning(
                        "Ended the child of an earlier run",
                        extra={"service": child.name, "pid": child.pid},
                    )
            except (PermissionError, TimeoutError) as error:
                raise EmbeddedError(
                    f"A {child.name} of an earlier run still uses the data folder {self.path}:"
                    f" end process {child.pid}, then start again."
                ) from error
        self.forget()

    def secret(self) -> str:
        """The secret that signs access tokens; made by whoever asks first. Raises EmbeddedError."""
        path = self.path / "secret"
        if not path.exists():
            self.prepare()
            self._write_private("secret", secrets.token_hex(SECRET_BYTES).encode(), replace=False)
        try:
            secret = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise EmbeddedError(f"{path} can't be read ({type(error).__name__}).") from error
        if len(secret) < SECRET_CHARACTERS_MIN:
            raise EmbeddedError(
                f"{path} is damaged. Remove it: a new one is made, and everybody signs in anew."
            )
        return secret

    def _write_private(self, name: str, content: bytes, *, replace: bool = True) -> None:
        """Write a file for the owner's eyes, at once; without `replace` an existing one stays."""
        try:
            handle, temporary = tempfile.mkstemp(dir=self.path, prefix=f".{name}-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                if replace:
                    os.replace(temporary, self.path / name)
                else:
                    with contextlib.suppress(FileExistsError):
                        os.link(temporary, self.path / name)
            finally:
                Path(temporary).unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> EmbeddedError:
        return EmbeddedError(
            f"The data folder {self.path} can't be used ({error.strerror or error})."
            " Make it a folder that you can write, or set CARTROOM_DATA to another."
        )


def running(data: Path) -> Endpoints | None:
    """The services that another process runs on this data folder and that are ready, or None."""
    endpoints = DataFolder(data).endpoints()
    if endpoints is None or not endpoints.ready or not processes.is_alive(endpoints.owner):
        return None
    return endpoints

"""What `scripts/services install` puts into a cache that all checkouts share, and finding it there.

Nothing here is fetched unasked: tests use what they find, and are skipped with NotInstalledError's
text where that is nothing. Versions and checksums are in deploy/services/.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "deploy" / "services"
KAFKA, FERRETDB = RECIPES / "kafka", RECIPES / "ferretdb"
JAVA_MIN = 17
GO_FILES = ("main.go", "turns.go", "go.mod", "go.sum")
GO_MIN = (1, 21)
"""The first Go that fetches the one a module asks for."""


class NotInstalledError(Exception):
    """A server or what it needs isn't here; the text says what to do."""


def kafka_jars() -> Path:
    """The folder of Kafka's jars. Raises NotInstalledError."""
    return _found(_place("kafka", KAFKA / "pom.xml", KAFKA / "SHA256SUMS"), "Apache Kafka")


def ferretdb() -> Path:
    """FerretDB's program. Raises NotInstalledError."""
    return _found(_ferretdb_place(), "FerretDB") / "ferretdb"


def java() -> str:
    """A Java that Kafka's broker runs on. Raises NotInstalledError."""
    program = _program("java", "Java 17 or later", "default-jre-headless")
    told = _output(program, "-version")
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < JAVA_MIN:
        raise NotInstalledError(f"Kafka needs Java {JAVA_MIN} or later, and there is: {told}")
    return program


def install_kafka() -> Path:
    """Have Maven fetch Kafka's jars, unless they are here; answers their folder.

    Raises NotInstalledError, and for a jar that isn't the one in SHA256SUMS.
    """
    java()
    mvn = _program("mvn", "Maven", "maven")
    place = _place("kafka", KAFKA / "pom.xml", KAFKA / "SHA256SUMS")

    def fetch(folder: Path) -> None:
        _run(
            *(mvn, "--batch-mode", "--quiet", "--strict-checksums", "-Dstyle.color=never"),
            *("--file", KAFKA / "pom.xml"),
            *("dependency:copy-dependencies", f"-DoutputDirectory={folder}"),
        )
        check_sums(folder, (KAFKA / "SHA256SUMS").read_text())

    return _install(place, fetch)


def install_ferretdb() -> Path:
    """Have Go fetch and build FerretDB, unless it is here; answers its folder.

    Go compares every module with go.sum. Raises NotInstalledError.
    """
    go = _program("go", "Go", "golang")
    told = _output(go, "version")
    version = re.search(r"go(\d+)\.(\d+)", told)
    if version is None or (int(version[1]), int(version[2])) < GO_MIN:
        raise NotInstalledError(f"FerretDB needs Go 1.21 or later, and there is: {told}")

    def build(folder: Path) -> None:
        _run(
            *(go, "build", "-C", FERRETDB, "-mod=readonly", "-trimpath", "-buildvcs=false"),
            *("-tags", "ferretdb_no_postgresql", "-ldflags=-s -w"),
            *("-o", folder / "ferretdb", "."),
        )

    return _install(_ferretdb_place(), build)


def services_folder() -> Path:
    """Where it all is: in the user's cache, or where CARTROOM_SERVICES says."""
    named = os.environ.get("CARTROOM_SERVICES")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named).absolute() if named else cache / "cartroom" / "services"


def _ferretdb_place() -> Path:
    return _place("ferretdb", *(FERRETDB / name for name in GO_FILES))


def _place(name: str, *recipe: Path) -> Path:
    """A folder named after what goes into it: another version is another folder."""
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in recipe)).hexdigest()
    return services_folder() / f"{name}-{digest[:12]}"


def _found(place: Path, what: str) -> Path:
    if not place.is_dir():
        raise NotInstalledError(f"no {what}: run `scripts/services install`")
    return place


def _install(place: Path, fill: Callable[[Path], None]) -> Path:
    """Fill a folder beside the place and move it there whole."""
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="incomplete-") as temporary:
        folder = Path(temporary) / place.name
        folder.mkdir()
        fill(folder)
        try:
            folder.rename(place)
        except OSError:
            if not place.is_dir():  # else another one was quicker
                raise
    return place


def check_sums(folder: Path, sums: str) -> None:
    """Compare the folder with lines of `sha256sum`; what differs raises NotInstalledError."""
    wanted = {name: digest for digest, name in map(str.split, sums.splitlines())}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    wrong = sorted(name for name, _ in wanted.items() ^ found.items())
    if wrong:
        raise NotInstalledError(f"not as deploy/services says: {', '.join(dict.fromkeys(wrong))}")


def _program(name: str, what: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotInstalledError(f"{what} is needed. On Debian: apt install {package}")
    return found


def _output(*command: str) -> str:
    done = subprocess.run(
        command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.stdout.strip()


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise NotInstalledError(f"{command[0]} failed with status {done.returncode}")

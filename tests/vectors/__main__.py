"""Write the vectors anew."""

from __future__ import annotations

from tests.vectors.making import FOLDER, files


def main() -> None:
    wanted = files()
    for path in FOLDER.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (FOLDER / name).write_text(content)
    print(f"{len(wanted)} files in {FOLDER}")


main()

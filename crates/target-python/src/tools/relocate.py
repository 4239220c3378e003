"""Frees an environment of the path it was made at, so that it works wherever it is put."""

import base64
import csv
import hashlib
import pathlib
import shutil

# Run by sh, it replaces itself by the interpreter beside it; read by Python, its first
# statement is a text.
HEADER = b"""#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/python" "$0" "$@"
' '''
"""


def environment(directory: pathlib.Path) -> None:
    for pattern in ("bin/activate*", "bin/Activate*"):
        for script in directory.glob(pattern):
            script.unlink()
    _configuration(directory / "pyvenv.cfg")
    for cache in list(directory.rglob("__pycache__")):
        shutil.rmtree(cache)
    scripts = {
        script.resolve(): _script(script, directory)
        for script in (directory / "bin").iterdir()
        if script.is_file() and not script.is_symlink()
    }
    for record in directory.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        _record(record, scripts)


def _configuration(path: pathlib.Path) -> None:
    """Keeps what says where the interpreter is, not where the environment was made."""
    kept = ("home", "include-system-site-packages", "version")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text(
        "".join(f"{line}\n" for line in lines if line.split("=")[0].strip() in kept),
        encoding="utf-8",
    )


def _script(path: pathlib.Path, directory: pathlib.Path) -> bytes:
    contents = path.read_bytes()
    place = str(directory.resolve() / "bin").encode()
    lines = contents.split(b"\n")
    header = b"\n".join(lines[:3])
    if lines[0].startswith(b"#!") and place in header:
        # Either one line, or the three that installers write for long paths.
        body = lines[3:] if lines[0] == b"#!/bin/sh" else lines[1:]
        contents = HEADER + b"\n".join(body)
        path.write_bytes(contents)
    return contents


def _record(path: pathlib.Path, scripts: dict) -> None:
    """States the scripts as they are now, and leaves out what is gone.

    `direct_url.json` goes as well: it names the file a distribution came from by its path.
    """
    root = path.parent.parent
    rows = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            target = root / row[0]
            if target.name == "direct_url.json" and target.parent == path.parent:
                target.unlink()
            if not target.exists():
                continue
            contents = scripts.get(target.resolve())
            if contents is not None and not target.is_symlink():
                digest = base64.urlsafe_b64encode(hashlib.sha256(contents).digest())
                row = [row[0], "sha256=" + digest.rstrip(b"=").decode(), str(len(contents))]
            rows.append(row)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(sorted(rows))

"""Chooses versions: requirement files in, a list of exact versions with their hashes out.

What is in the directory `needed` (wheels of needed targets) is taken from there wherever it is
asked for. The project itself (the wheel in `project`) takes part and is left out of the list.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import urllib.parse

import install

# Stands for the directory this runs in, which is another one when the list is used.
ROOT = "file:///synth-root"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--installer", required=True, choices=["uv", "pip"])
    parser.add_argument("--constraints")
    parser.add_argument("--output", required=True, type=pathlib.Path)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    # An installer that is asked for nothing complains.
    files = [file for file in arguments.files if pathlib.Path(file).read_text("utf-8").strip()]
    needed = pathlib.Path("needed.txt")
    needed.write_text("".join(_needed()), encoding="utf-8")
    if not files:
        entries = []
    elif arguments.installer == "uv":
        entries = _uv(files, arguments.constraints, needed)
    else:
        entries = _pip(files, arguments.constraints, needed)
    own = {_normalized(path.name.split("-")[0]) for path in pathlib.Path("project").glob("*.whl")}
    chosen = sorted(entry for entry in entries if _name(entry) not in own)
    arguments.output.write_text("".join(chosen), encoding="utf-8")
    for entry in chosen:
        print(entry.split(" ")[0].strip())
    return 0


def _needed() -> list:
    wheels = sorted(pathlib.Path("needed").glob("*.whl"))
    return [f"{wheel.name.split('-')[0]} @ {wheel.resolve().as_uri()}\n" for wheel in wheels]


def _uv(files: list, constraints, needed: pathlib.Path) -> list:
    lock = pathlib.Path("uv-lock.txt")
    command = ["uv", "pip", "compile", "--quiet", "--python", sys.executable]
    command += ["--no-header", "--no-annotate", "--generate-hashes", "--no-progress"]
    command += ["--output-file", str(lock)]
    if needed.stat().st_size:
        command += ["--override", str(needed)]
    if constraints:
        command += ["--constraint", constraints]
    _run([*command, *files])
    text = lock.read_text(encoding="utf-8").replace(pathlib.Path.cwd().as_uri(), ROOT)
    # An entry starts at the margin; what belongs to it is indented.
    entries = [entry + "\n" for entry in re.split(r"\n(?=\S)", text.rstrip("\n")) if entry]
    return [entry for entry in entries if not entry.startswith("-")]


def _pip(files: list, constraints, needed: pathlib.Path) -> list:
    report = pathlib.Path("report.json")
    command = [*install.PIP, "install", *install.PIP_QUIET, "--dry-run", "--ignore-installed"]
    command += ["--report", str(report), "--constraint", str(needed)]
    if constraints:
        command += ["--constraint", constraints]
    for file in files:
        command += ["--requirement", file]
    _run(command)
    chosen = json.loads(report.read_text(encoding="utf-8"))["install"]
    hashes = [_hash(item) for item in chosen]
    # pip wants hashes for all or for none, and a version control checkout has none.
    if not all(hashes):
        hashes = [""] * len(hashes)
    return [f"{_pinned(item)}{digest}\n" for item, digest in zip(chosen, hashes)]


def _hash(item: dict) -> str:
    hashes = item["download_info"].get("archive_info", {}).get("hashes", {})
    return f" --hash=sha256:{hashes['sha256']}" if "sha256" in hashes else ""


def _pinned(item: dict) -> str:
    metadata, source = item["metadata"], item["download_info"]
    if not item["is_direct"]:
        return f"{metadata['name']}=={metadata['version']}"
    url = source["url"].replace(pathlib.Path.cwd().as_uri(), ROOT)
    if "vcs_info" in source:
        control = source["vcs_info"]
        url = f"{control['vcs']}+{url}@{control['commit_id']}"
    if "subdirectory" in source:
        url += f"#subdirectory={urllib.parse.quote(source['subdirectory'])}"
    return f"{metadata['name']} @ {url}"


def _name(entry: str) -> str:
    """The name of `name==version` and `name @ URL`, and of a path to a wheel."""
    first = re.split(r"[ =@\[;\n]", entry)[0]
    return _normalized(first.split("/")[-1].split("-")[0] if "/" in first else first)


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(command: list) -> None:
    status = subprocess.run(command, stdout=sys.stderr, env=install.pip_environment())
    if status.returncode != 0:
        sys.exit(status.returncode)


main()

"""Makes an isolated environment that holds what a list of exact versions says.

Arguments: the installer (`uv` or `pip`), the list, the directory to make.
"""

import pathlib
import sys
import venv

import install
import relocate

# What `resolve.py` writes for the directory it runs in.
ROOT = "file:///synth-root"


def main() -> int:
    installer, lock, directory = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    venv.EnvBuilder(symlinks=True, with_pip=False).create(directory)
    chosen = lock.read_text(encoding="utf-8")
    if chosen.strip():
        here = pathlib.Path("chosen.txt")
        here.write_text(chosen.replace(ROOT, pathlib.Path.cwd().as_uri()), encoding="utf-8")
        python = str(directory / "bin/python")
        status = install.into(installer, python, ["--requirement", str(here)], network=True)
        if status != 0:
            return status
    relocate.environment(directory)
    return 0


sys.exit(main())

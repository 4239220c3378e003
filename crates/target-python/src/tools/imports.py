"""Installs the wheel into the clean environment that runs this file and imports its modules.

Arguments: the installer, the directory of the wheel, the file that lists the modules to import,
the file that lists the modules of entry points that must be found.
"""

import importlib.util
import pathlib
import subprocess
import sys

import install

IMPORT = "import importlib, sys; importlib.import_module(sys.argv[1])"


def main() -> int:
    installer, wheel, modules, entries = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
    if not install.wheel(installer, wheel):
        return 1
    nowhere = pathlib.Path("nowhere")
    nowhere.mkdir()
    failed = 0
    for module in modules.read_text(encoding="utf-8").split():
        # Each in a process of its own: none may lean on what another has imported.
        command = [sys.executable, "-I", "-c", IMPORT, module]
        status = subprocess.run(command, cwd=nowhere, stdin=subprocess.DEVNULL).returncode
        print(f"import {module}: {'ok' if status == 0 else 'failed'}", flush=True)
        failed += status != 0
    for line in entries.read_text(encoding="utf-8").splitlines():
        script, _, module = line.partition("\t")
        if not _found(module):
            print(f"entry point `{script}`: there is no module `{module}`", file=sys.stderr)
            failed += 1
    if failed:
        print(
            "The installed wheel is not usable as it is: does the project declare all its"
            " dependencies, and pack all its modules?\n"
            "Modules that need not be importable can be left out: list the others in `imports`.",
            file=sys.stderr,
        )
    return 1 if failed else 0


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


sys.exit(main())

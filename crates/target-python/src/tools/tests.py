"""Installs the wheel into the environment that runs this file and runs the project's tests.

The package's own sources are taken away first: what is tested is what the wheel installs.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

import install

TEST_FILES = ("test_*.py", "*_test.py", "conftest.py")
# What pytest exits with when it has collected nothing.
NOTHING_COLLECTED = 5


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--installer", required=True)
    parser.add_argument("--wheel", required=True, type=pathlib.Path)
    parser.add_argument("--modules", required=True, type=pathlib.Path)
    parser.add_argument("--source", required=True, type=pathlib.Path)
    parser.add_argument("--must-collect", action="store_true")
    parser.add_argument("command", nargs="*")
    arguments = parser.parse_args()
    if not install.wheel(arguments.installer, arguments.wheel):
        return 1
    for module in arguments.modules.read_text(encoding="utf-8").split():
        _take_away(arguments.source, module)
    scripts = pathlib.Path(sys.executable).parent
    variables = dict(os.environ, VIRTUAL_ENV=str(scripts.parent))
    variables["PATH"] = os.pathsep.join([str(scripts), os.environ.get("PATH", os.defpath)])
    command = arguments.command or [sys.executable, "-m", "pytest"]
    try:
        status = subprocess.run(command, cwd=arguments.source, env=variables).returncode
    except FileNotFoundError:
        print(f"`{command[0]}` is not in the test environment", file=sys.stderr)
        return 127
    if arguments.command or status != NOTHING_COLLECTED:
        return status if status >= 0 else 128 - status
    if arguments.must_collect:
        print("`tests = true`, but pytest has collected no test", file=sys.stderr)
        return 1
    print("pytest has collected no test: nothing is tested")
    return 0


def _take_away(source: pathlib.Path, module: str) -> None:
    relative = pathlib.Path(*module.split("."))
    for base in (source, source / "src"):
        for path in (base / relative, (base / relative).with_suffix(".py")):
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.is_dir():
                # Tests inside the package need what they are inside of.
                if any(next(path.rglob(pattern), None) for pattern in TEST_FILES):
                    print(f"{path.relative_to(source)} holds tests: it stays beside the wheel")
                else:
                    shutil.rmtree(path)


sys.exit(main())

"""Makes an environment with a pip that can install into other environments.

Used when there is no uv. Arguments: the directory to make.
"""

import pathlib
import re
import subprocess
import sys
import venv

import install
import relocate

# `pip install --report` is stable and `pip --python` is there from this version on.
OLDEST_PIP = (23, 0)


def main() -> int:
    directory = pathlib.Path(sys.argv[1])
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        print(
            f"{sys.executable} comes without `ensurepip`, so no pip can be made from it.\n"
            "On Debian and Ubuntu: apt install python3-venv. Or install uv.",
            file=sys.stderr,
        )
        return 1
    venv.EnvBuilder(symlinks=True, with_pip=True).create(directory)
    pip = [str(directory / "bin/python"), "-m", "pip"]
    said = subprocess.run([*pip, "--version"], check=True, capture_output=True, text=True)
    found = re.match(r"pip (\d+)\.(\d+)", said.stdout)
    if found is None or tuple(map(int, found.groups())) < OLDEST_PIP:
        oldest = ".".join(map(str, OLDEST_PIP))
        upgrade = [*pip, "install", "--upgrade", "--no-compile", f"pip>={oldest}"]
        if subprocess.run(upgrade, env=install.pip_environment()).returncode != 0:
            return 1
    relocate.environment(directory)
    return 0


sys.exit(main())

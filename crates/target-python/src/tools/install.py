"""Runs the installer: uv, or the pip of the environment `installer`."""

import os
import pathlib
import subprocess
import sys

PIP = ["installer/bin/python", "-m", "pip"]
PIP_QUIET = ["--disable-pip-version-check", "--no-input", "--quiet"]


def pip_environment() -> dict:
    """The environment with `user = true` of the user's configuration overruled.

    It is said for their own interpreter, and pip refuses it where there is an environment.
    """
    return dict(os.environ, PIP_USER="0")


def into(installer: str, python: str, arguments: list, network: bool) -> int:
    """Installs exactly what `arguments` name, without what that depends on."""
    if installer == "uv":
        # Copied, because a link would lead into the user's cache.
        command = ["uv", "pip", "install", "--quiet", "--python", python, "--no-deps"]
        command += ["--link-mode", "copy", "--no-compile-bytecode", "--no-progress"]
        if not network:
            command += ["--offline", "--no-index", "--no-cache", "--no-config"]
    else:
        command = [*PIP, "--python", python, "install", *PIP_QUIET, "--no-deps"]
        command += ["--no-compile", "--no-warn-script-location"]
        if not network:
            command += ["--no-index", "--no-cache-dir"]
    return subprocess.run([*command, *arguments], env=pip_environment()).returncode


def wheel(installer: str, directory: pathlib.Path) -> bool:
    """Installs the only wheel of a directory into the environment of this process."""
    [path] = directory.glob("*.whl")
    return into(installer, sys.executable, [str(path)], network=False) == 0

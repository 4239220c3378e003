"""Runs the installer: uv, or the pip of the environment `installer`."""

import pathlib
import subprocess
import sys

PIP = ["installer/bin/python", "-m", "pip"]
PIP_QUIET = ["--disable-pip-version-check", "--no-input", "--quiet"]


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
    return subprocess.run([*command, *arguments]).returncode


def wheel(installer: str, directory: pathlib.Path) -> bool:
    """Installs the only wheel of a directory into the environment of this process."""
    [path] = directory.glob("*.whl")
    return into(installer, sys.executable, [str(path)], network=False) == 0

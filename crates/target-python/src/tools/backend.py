"""Calls the hooks of a build backend (PEP 517) in the environment that runs this file.

Arguments: `requires`, `sdist` or `wheel`; the source directory; the file or directory for the
result; the backend as JSON.
"""

import importlib
import json
import os
import pathlib
import sys


def main() -> int:
    task, source, result = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    description = json.loads(sys.argv[4])
    result = result.resolve()
    if source.name == "*":
        # An unpacked archive has one directory at its top.
        [source] = source.parent.iterdir()
    # The directory of this file is no place of the project's modules.
    del sys.path[0]
    os.chdir(source)
    # Backends look at their arguments, as setup.py does.
    sys.argv = ["setup.py"]
    backend = _backend(description)
    settings = description["config_settings"] or None
    if task == "requires":
        asked = set()
        for kind in ("sdist", "wheel") if description["sdist"] else ("wheel",):
            hook = getattr(backend, f"get_requires_for_build_{kind}", None)
            asked.update(hook(settings) if hook else ())
        result.write_text("".join(f"{each}\n" for each in sorted(asked)), encoding="utf-8")
    else:
        hook = getattr(backend, f"build_{task}", None)
        if hook is None:
            return _failed(f"the build backend has no hook `build_{task}` (PEP 517)")
        try:
            name = hook(str(result), settings)
        except getattr(backend, "UnsupportedOperation", ()) as error:
            return _failed(f"the build backend can't make this {task}: {error}")
        if not (result / name).is_file():
            return _failed(f"the build backend says it wrote `{name}`, but it is not there")
        print(f"wrote {name}")
    return 0


def _backend(description: dict):
    paths = [os.path.abspath(path) for path in description["backend_path"]]
    sys.path[:0] = paths
    module, _, attributes = description["backend"].partition(":")
    try:
        backend = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0] and error.name != module:
            raise
        sys.exit(
            f"the build backend `{module}` is not in the build environment:"
            " [build-system] of pyproject.toml must require the package that brings it"
        )
    if paths:
        place = os.path.abspath(getattr(backend, "__file__", None) or "")
        if not any(place.startswith(path + os.sep) for path in paths):
            sys.exit(f"the build backend `{module}` is not below its backend-path, but {place}")
    for attribute in attributes.split(".") if attributes else ():
        backend = getattr(backend, attribute)
    return backend


def _failed(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""Ways to install an application: each in a directory of the test's own, without any network.

Packages are those of the test run; they are linked to or zipped, and never changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution, requires
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
BASE = str(Path(getattr(sys, "_base_executable", sys.executable)))
"""The interpreter below the test run's virtual environment."""


def needed() -> list[Path]:
    """The packages and modules of click_telemetry and of all that it requires."""
    names, distributions = ["click-telemetry"], dict[str, Distribution]()
    while names:
        name = names.pop()
        if name in distributions:
            continue
        distributions[name] = distribution(name)
        for text in requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                names.append(requirement.name)
    return sorted({path for found in distributions.values() for path in _tops(found)})


def _tops(found: Distribution) -> set[Path]:
    """The top-level packages and modules of a distribution."""
    if found.metadata["Name"] == "click-telemetry":
        spec = find_spec("click_telemetry")
        assert spec is not None
        assert spec.origin is not None
        return {Path(spec.origin).parent}
    files = [file for file in found.files or () if file.suffix in (".py", ".so")]
    tops = {file.parts[0] for file in files if ".." not in file.parts}
    return {Path(str(found.locate_file(top))) for top in tops}


def link_packages(site: Path) -> None:
    """Put all that is needed into a directory, by links."""
    site.mkdir(parents=True, exist_ok=True)
    for path in needed():
        (site / path.name).symlink_to(path)


def zip_packages(archive: Path, *, main: str | None = None) -> None:
    """Put all that is needed into a zip, as zipapp does; what is compiled cannot be in one.

    Args:
        archive: the file.
        main: the source of its `__main__`, which makes it an application.
    """
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        if main is not None:
            zipped.writestr("__main__.py", main)
        for path in needed():
            for file in [path, *sorted(path.rglob("*"))]:
                if file.name != "__pycache__" and file.suffix not in (".pyc", ".so"):
                    zipped.write(file, file.relative_to(path.parent))


def virtual_environment(directory: Path) -> str:
    """A virtual environment with everything installed in it; gives its Python."""
    make = [BASE, "-m", "venv", "--without-pip", str(directory)]
    subprocess.run(make, check=True, capture_output=True, timeout=120)
    python = str(directory / "bin" / "python")
    link_packages(_answer(python, "sysconfig", "get_path('purelib')"))
    return python


def user_site(home: Path) -> str:
    """As `pip install --user` does; gives the Python that finds it."""
    link_packages(_answer(BASE, "site", "getusersitepackages()", home=home))
    return BASE


def _answer(python: str, module: str, expression: str, home: Path | None = None) -> Path:
    """A directory of an interpreter, which is `site-packages` or a distribution's own name."""
    line = [python, "-c", f"import {module}; print({module}.{expression})"]
    environ = {} if home is None else {"HOME": str(home)}
    done = subprocess.run(line, env=environ, check=True, capture_output=True, text=True, timeout=60)
    return Path(done.stdout.strip())


def prefix_of_its_own(directory: Path) -> str:
    """A whole Python in a prefix of its own, as conda makes them; gives it."""
    library = directory / "lib" / VERSION
    library.mkdir(parents=True)
    for entry in Path(os.__file__).parent.iterdir():
        if entry.name not in ("site-packages", "dist-packages", "__pycache__"):
            (library / entry.name).symlink_to(entry)
    python = directory / "bin" / VERSION
    python.parent.mkdir()
    python.write_bytes(Path(BASE).resolve().read_bytes())
    python.chmod(0o755)
    for shared in Path(sys.base_prefix, "lib").glob("libpython*"):
        (directory / "lib" / shared.name).symlink_to(shared)
    (directory / "conda-meta").mkdir()
    found = _answer(str(python), "site", "getsitepackages()[0]")
    assert found.is_relative_to(directory), found
    link_packages(found)
    return str(python)

"""Write `runtime.lock` and `dev.lock`: every dependency with its hashes, and no address of any registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).with_name("uv")
COMMON = (
    "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes",
    "--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header",
    "pyproject.toml", "requirements/build.in", "--all-extras",
)  # fmt: skip
LOCKS = {"runtime": (), "dev": ("--group", "dev")}


def main() -> None:
    """Compile both locks; `--upgrade` and the like are passed on."""
    for name, more in LOCKS.items():
        target = f"requirements/{name}.lock"
        subprocess.run([UV, *COMMON, *more, "--output-file", target, *sys.argv[1:]], cwd=ROOT, check=True)
        if "://" in (ROOT / target).read_text(encoding="utf-8"):
            sys.exit(f"{target} names an address; a lock must not.")


main()

"""Make the zip that `spark-submit --py-files` takes: our packages with their prompts, nothing else."""

import sys
import zipfile
from pathlib import Path
from typing import Final

PACKAGES: Final = ("lakehouse", "schemas", "udfs", "jobs")


def bundle(root: Path, target: Path) -> Path:
    """Write the packages below ``root`` into the zip ``target``, the same bytes for the same files, and return it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in _files(root):
            # A fixed time: two bundles of the same code are the same file.
            entry = zipfile.ZipInfo(str(file.relative_to(root)), date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, file.read_bytes(), compress_type=zipfile.ZIP_DEFLATED)
    return target


def _files(root: Path) -> list[Path]:
    found = (file for package in PACKAGES for file in (root / package).rglob("*") if file.is_file())
    return sorted(file for file in found if "__pycache__" not in file.parts)


if __name__ == "__main__":
    made = bundle(Path(__file__).parents[1], Path("build/multigrain.zip"))
    print(f"{made} ({made.stat().st_size:,} bytes)")
    sys.exit(0)

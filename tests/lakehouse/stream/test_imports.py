"""What importing and using the stream leaves alone."""

import subprocess
import sys
from pathlib import Path

from tests.lakehouse.stream.lakes import Lake

ROOT = Path(__file__).parents[3]


def run(code: str, folder: Path) -> str:
    code = f"import sys; sys.path.append({str(ROOT)!r}); {code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = {"pyspark", "torch", "cv2", "petastorm", "pandas", "pyarrow", "deltalake", "numpy"}
    assert run(f"import lakehouse.stream; print({heavy} & set(sys.modules))", tmp_path) == "set()"


def test_a_stream_lives_beside_the_trainers_own_packages(lake: Lake, tmp_path: Path) -> None:
    for name in ("jobs", "schemas", "udfs"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('a foreign package was imported')")
    code = (
        "from lakehouse.stream import CaptionStream; "
        f"stream = CaptionStream({str(lake.path)!r}, release='demo', batch_size=32, image_size=32, threads=2); "
        "rows = sum(map(len, stream)); "
        "print(rows, {'pyspark', 'jobs', 'schemas', 'udfs'} & set(sys.modules))"
    )
    assert run(code, tmp_path) == "256 set()"

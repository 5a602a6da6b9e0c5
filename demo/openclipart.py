"""Get Debian's openclipart packages: 8,121 public-domain drawings with the titles, descriptions and tags of the web."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = ("openclipart-png", "openclipart-svg")
_RDF: Final = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "cc": "http://web.resource.org/cc/",
}


class NotAvailable(Exception):
    """The packages cannot be had here; the text says why."""


def fetch(folder: Path) -> Path:
    """Return ``folder`` with the PNGs and a ``metadata.jsonl`` beside them; done once, then found again.

    Raises NotAvailable where there is no apt or no such package. Nothing is installed and no root is needed.
    """
    if (folder / "metadata.jsonl").exists():
        return folder
    with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as scratch:
        unpacked = _unpacked(Path(scratch))
        pictures = unpacked / "usr" / "share" / "openclipart"
        lines = [json.dumps(line) for line in metadata(pictures)]
        (pictures / "png" / "metadata.jsonl").write_text("\n".join(lines) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(pictures / "png", folder)
    return folder


def metadata(pictures: Path) -> Iterator[dict[str, Any]]:
    """Yield a line for each PNG: its name; title, description, tags and licence from the SVG that it was drawn from."""
    for png in sorted((pictures / "png").rglob("*.png")):
        if png.is_file():
            name = png.relative_to(pictures / "png")
            yield {"file_name": str(name), **_facts(pictures / "svg" / name.with_suffix(".svg"))}


def _facts(svg: Path) -> dict[str, Any]:
    rdf = _rdf(svg)
    if rdf is None:
        return {}
    work = rdf.find("cc:Work", _RDF)
    work = rdf if work is None else work
    tags = [item.text.strip() for item in work.iterfind("dc:subject//rdf:li", _RDF) if item.text and item.text.strip()]
    licence = work.find("cc:license", _RDF)
    facts = {
        "title": work.findtext("dc:title", "", _RDF).strip(),
        "description": work.findtext("dc:description", "", _RDF).strip(),
        "tags": tags,
        "licence": "" if licence is None else licence.get(f"{{{_RDF['rdf']}}}resource", ""),
    }
    return {name: fact for name, fact in facts.items() if fact}


def _rdf(svg: Path) -> ET.Element | None:
    """The metadata block alone is parsed: drawings are megabytes, and some are not well-formed XML."""
    if not svg.is_file():
        return None
    found = re.search(rb"<rdf:RDF.*?</rdf:RDF>", svg.read_bytes(), re.DOTALL)
    if found is None:
        return None
    spaces = " ".join(f'xmlns:{name}="{uri}"' for name, uri in _RDF.items())
    try:
        wrapped = ET.fromstring(f"<x {spaces}>{found[0].decode('utf-8', 'replace')}</x>")  # noqa: S314
    except ET.ParseError:
        return None
    return wrapped.find("rdf:RDF", _RDF)


def _unpacked(scratch: Path) -> Path:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise NotAvailable("there is no apt here")
    # apt's sandbox user must be able to write where it downloads to.
    scratch.chmod(0o755)
    if not _download(scratch, []) and not (_update(scratch) and _download(scratch, _own_lists(scratch))):
        raise NotAvailable(f"apt cannot download {' and '.join(PACKAGES)}")
    for package in sorted(scratch.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package.name, "x"], cwd=scratch, check=True, timeout=300)  # noqa: S603, S607
    return scratch / "x"


def _download(scratch: Path, options: list[str]) -> bool:
    command = ["apt-get", "-q", *options, "download", *PACKAGES]
    done = subprocess.run(command, cwd=scratch, capture_output=True, timeout=600, check=False)  # noqa: S603
    return done.returncode == 0


def _update(scratch: Path) -> bool:
    command = ["apt-get", "-q", *_own_lists(scratch), "update"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, timeout=600, check=False)  # noqa: S603
    return done.returncode == 0


def _own_lists(scratch: Path) -> list[str]:
    """Options that keep apt's package lists in ``scratch``: refreshing the machine's own takes root."""
    folders = {"Dir::State::lists": scratch / "lists", "Dir::Cache": scratch / "cache"}
    for folder in folders.values():
        (folder / "partial").mkdir(parents=True, exist_ok=True)
        (folder / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    return [part for name, folder in folders.items() for part in ("-o", f"{name}={folder}")]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""The drawings' titles, descriptions and tags are read out of their SVGs as the web wrote them."""

from pathlib import Path
from typing import Any

import pytest

from demo.openclipart import metadata

SVG = """<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg"><metadata>
<rdf:RDF xmlns:cc="http://web.resource.org/cc/" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<cc:Work rdf:about="">{work}
<dc:publisher><cc:Agent><dc:title>Open Clip Art Library</dc:title></cc:Agent></dc:publisher>
<cc:license rdf:resource="http://web.resource.org/cc/PublicDomain"/></cc:Work></rdf:RDF>
</metadata><path d="{path}"/></svg>
"""
LICENCE = "http://web.resource.org/cc/PublicDomain"
DUCK = """<dc:title> Duck </dc:title>
<dc:description>A duck on\na pond</dc:description>
<dc:subject><rdf:Bag><rdf:li>bird</rdf:li><rdf:li> </rdf:li><rdf:li>animal</rdf:li></rdf:Bag></dc:subject>"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The package's folder, empty: drawings as PNG and, under the same names, as SVG."""
    (tmp_path / "png").mkdir()
    (tmp_path / "svg").mkdir()
    return tmp_path


def add(pictures: Path, name: str, svg: bytes | None) -> None:
    for kind, content in (("png", b"pixels"), ("svg", svg)):
        file = pictures / kind / f"{name}.{kind}"
        file.parent.mkdir(exist_ok=True)
        if content is not None:
            file.write_bytes(content)


def drawing(work: str, *, encoding: str = "utf-8", path: str = "M 0 0") -> bytes:
    return SVG.format(work=work, path=path).encode(encoding)


def facts(pictures: Path, svg: bytes | None) -> dict[str, Any]:
    """The one line of a package of one drawing, but for its name."""
    add(pictures, "drawing", svg)
    [line] = metadata(pictures)
    assert line.pop("file_name") == "drawing.png"
    return line


def test_each_drawing_has_a_line_with_its_own_facts(pictures: Path) -> None:
    add(pictures, "birds/duck", drawing(DUCK))
    add(pictures, "apple", drawing("<dc:title>Apple</dc:title>"))
    assert list(metadata(pictures)) == [
        {"file_name": "apple.png", "title": "Apple", "licence": LICENCE},
        {
            "file_name": "birds/duck.png",
            "title": "Duck",
            "description": "A duck on\na pond",
            "tags": ["bird", "animal"],
            "licence": LICENCE,
        },
    ]


def test_the_title_of_the_publisher_is_not_that_of_the_drawing(pictures: Path) -> None:
    work = "<dc:title></dc:title><dc:subject><rdf:Bag><rdf:li>bird</rdf:li></rdf:Bag></dc:subject>"
    assert facts(pictures, drawing(work)) == {"tags": ["bird"], "licence": LICENCE}


def test_entities_are_letters(pictures: Path) -> None:
    work = "<dc:title>Caf&#233; &amp; croissant</dc:title>"
    assert facts(pictures, drawing(work))["title"] == "Café & croissant"


def test_a_byte_that_is_not_utf8_costs_one_letter(pictures: Path) -> None:
    work = "<dc:title>Café au lait</dc:title>"
    assert facts(pictures, drawing(work, encoding="latin-1"))["title"] == "Caf\ufffd au lait"


def test_a_drawing_that_is_no_xml_keeps_its_facts(pictures: Path) -> None:
    assert facts(pictures, drawing(DUCK, path='&ns_svg; <"'))["title"] == "Duck"


@pytest.mark.parametrize("svg", [None, b"<svg/>", drawing("<dc:title>Tom & Jerry</dc:title>")])
def test_a_drawing_without_readable_facts_has_its_name_alone(pictures: Path, svg: bytes | None) -> None:
    assert facts(pictures, svg) == {}

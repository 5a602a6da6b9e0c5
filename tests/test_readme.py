"""What the README says is true: its programs run, and what it names is there."""

import re
import shlex
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from jobs.__main__ import jobs
from lakehouse.cli import parse
from lakehouse.jars import PACKAGE
from schemas.gold import RELEASES
from schemas.ops import REJECTS
from tests.world import World
from udfs.batch.settings import OWN as BATCH
from udfs.chat.settings import READ as CHAT
from udfs.hf.settings import READ as HF

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
FENCED: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
CODE = "\n".join([*(code for _, code in FENCED), *re.findall(r"`([^`\n]+)`", TEXT)])
"""Everything in the README that is written as code."""

COMMANDS = [
    shlex.split(line, comments=True) for language, code in FENCED if language == "bash" for line in code.splitlines()
]
"""Every command in a block of its own, word by word."""

JOBS = {name for name, _ in jobs()}


def block(word: str) -> str:
    """The README's one Python block that holds ``word``."""
    (found,) = [code for language, code in FENCED if language == "python" and word in code]
    return found


@pytest.fixture
def run(world: World) -> Callable[..., dict[str, Any]]:
    """Run a block against the small lake, with other ``changes`` made in its text, and return its variables."""

    def run(word: str, **changes: str) -> dict[str, Any]:
        code = block(word)
        for old, new in {"build/demo/lake": world.lake.root, **changes}.items():
            assert old in code
            code = code.replace(old, new)
        variables: dict[str, Any] = {}
        exec(compile(code, "README.md", "exec"), variables)
        return variables

    return run


def test_the_page_of_models_has_every_setting() -> None:
    page = (ROOT / "docs/models.md").read_text()
    for title, settings in {"Chat servers": CHAT, "By batch, besides": BATCH, "transformers": HF}.items():
        section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        told = re.findall(r"`(\w+)`", "".join(line.split(" | ")[0] for line in section.splitlines()))
        # A batch's deadline stands with a request's, whose name it shares.
        assert set(told) - {"deadline"} == set(settings) - {"deadline"}


def test_every_python_block_is_tested_here() -> None:
    blocks = [code for language, code in FENCED if language == "python"]
    assert sorted(blocks) == sorted(map(block, ("polars", "duckdb", "CaptionStream")))


@pytest.mark.spark
@pytest.mark.slow
def test_the_question_in_polars_is_answered(
    run: Callable[..., dict[str, Any]], world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    run("polars")
    assert_each_reason_is_told(capsys.readouterr().out, world)


@pytest.mark.spark
@pytest.mark.slow
def test_the_question_in_duckdb_is_answered(
    run: Callable[..., dict[str, Any]], world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    run("duckdb")
    assert_each_reason_is_told(capsys.readouterr().out, world)


@pytest.mark.spark
@pytest.mark.slow
def test_the_question_on_the_command_line_is_answered(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    from jobs import query_lakehouse

    (sql,) = re.findall(r'python -m jobs\.query_lakehouse "(.+)"', TEXT)
    assert query_lakehouse.main([sql, "--lake", world.lake.root]) == 0
    assert_each_reason_is_told(capsys.readouterr().out, world)


def assert_each_reason_is_told(answer: str, world: World) -> None:
    counts = world.lake.read(REJECTS).groupBy("reason").count().collect()
    assert len(counts) > 3
    for row in counts[:5]:
        assert re.search(rf"\b{row['reason']}\b\W+{row['count']}\b", answer)


@pytest.mark.spark
@pytest.mark.slow
def test_the_stream_gives_what_the_comment_says(run: Callable[..., dict[str, Any]], world: World) -> None:
    release = world.lake.read(RELEASES).collect()[0].release
    # The small lake has fewer rows than the README's batch.
    found = run("CaptionStream", RELEASE=release, **{"batch_size=256": "batch_size=16"})
    batch = found["batch"]
    assert found["stream"].epoch == 10
    (comment,) = re.findall(r"# batch\.image uint8 \[(.+?)\]", block("CaptionStream"))
    assert str(batch.image.dtype) == "torch.uint8"
    assert comment.replace("256", "16") == ", ".join(map(str, batch.image.shape))
    names = re.findall(r" \.(\w+)", block("CaptionStream").split("# batch.image")[1])
    assert len(names) == 4
    assert [name for name in names if len(getattr(batch, name)) != 16] == []


def test_every_job_that_the_readme_names_is_there() -> None:
    named = {*re.findall(r"python -m jobs\.([a-z_]+)", CODE), *re.findall(r"jobs/(\w+)\.py", CODE)}
    table = {
        name
        for cell in re.findall(r"^\| ((?:`\w+_\w+`(?:, )?)+) \|", TEXT, re.MULTILINE)
        for name in re.findall(r"\w+", cell)
    }
    assert len(table) > 5
    assert sorted((named | table) - JOBS) == []


def test_every_job_is_named() -> None:
    assert [name for name in sorted(JOBS) if not re.search(rf"\b{name}\b", TEXT)] == []


def test_every_command_is_of_a_kind_that_is_tested_here() -> None:
    assert {command[0] for command in COMMANDS} == {"make", "python", "spark-submit"}


@pytest.mark.parametrize("command", [one for one in COMMANDS if one[0] != "make"], ids=" ".join)
def test_every_command_of_a_job_is_one_that_the_job_takes(command: list[str]) -> None:
    [job] = [word for word in command if re.fullmatch(r"jobs\.\w+|jobs/\w+\.py", word)]
    config = import_module(job.removesuffix(".py").replace("/", ".")).Config
    # Exits where a flag is unknown or a value is of another type.
    assert parse(config, command[command.index(job) + 1 :], prog=job)


def test_every_target_of_make_that_the_readme_names_is_there() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)", CODE))
    assert {"demo", "test"} <= named
    assert sorted(named - set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))) == []


def test_every_variable_that_the_readme_gives_to_make_is_used() -> None:
    named = set(re.findall(r"\bmake [a-z-]+ ([A-Z]+)=", CODE))
    assert "DATA" in named
    assert [name for name in sorted(named) if f"$({name})" not in (ROOT / "Makefile").read_text()] == []


def test_the_package_for_a_cluster_is_the_one_that_is_tested() -> None:
    assert re.findall(r"--packages ([^\s`]+)", TEXT) == [PACKAGE]


def test_every_extra_that_the_readme_names_is_there() -> None:
    named = {extra for extras in re.findall(r"\[([a-z,]+)\]['`]", TEXT) for extra in extras.split(",")}
    assert {"stream", "train", "spark", "models", "explore"} <= named
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sorted(named - set(project["optional-dependencies"])) == []


def test_every_file_that_the_readme_links_to_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_file_that_the_readme_names_is_there() -> None:
    # What lies in build/ is made by the commands that the README tells of.
    named = {
        name for name in re.findall(r"\b[a-z_]+/[\w/]*(?:\.(?:py|ipynb|md))?(?=[`\s])", CODE) if "build/" not in name
    }
    named = {name for name in named if name.split("/")[0] in {path.name for path in ROOT.iterdir()}}
    assert "notebooks/query_the_lakehouse.ipynb" in named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []

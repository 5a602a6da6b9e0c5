"""A flag that does nothing is a lie: every field of a job's configuration is read where it is declared."""

import ast
from importlib import import_module
from inspect import getsource

import pytest

from jobs.__main__ import jobs

IGNORES_SIZE = """
class Config:
    lake: str
    side: int
    size: int

def run(config):
    print(config.side, other.size, "config.size", asdict(config))
"""


def unread_fields(code: str) -> list[str]:
    """The fields of ``Config`` in ``code`` that no ``config.FIELD`` reads; the lake is read by what runs the job."""
    tree = ast.parse(code)
    [config] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Config"]
    targets = [node.target for node in config.body if isinstance(node, ast.AnnAssign)]
    declared = [target.id for target in targets if isinstance(target, ast.Name)]
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "config"
    }
    return [name for name in declared if name not in {*read, "lake"}]


@pytest.mark.parametrize("name", [name for name, _ in jobs()])
def test_every_field_of_a_configuration_is_read(name: str) -> None:
    assert unread_fields(getsource(import_module(f"jobs.{name}"))) == []


def test_a_field_that_is_not_read_is_seen() -> None:
    assert unread_fields(IGNORES_SIZE) == ["size"]

"""Stages as ops.rejects names them: the job, and what makes two runs of it judge one row differently."""


def selecting(selection: str) -> str:
    """Return the stage of choosing for ``selection``.

    >>> selecting("default")
    'select_pairs/default'
    """
    return f"select_pairs/{selection}"


def describing(model: str, revision: str, prompt_hash: str) -> str:
    """Return the stage of describing by ``model``: what it fails on, another revision or prompt may do.

    >>> describing("rules://", "3", "5f2a90c1d3e4b687")
    'describe_images/rules://@3/5f2a90c1d3e4'
    """
    return f"describe_images/{model}@{revision}/{prompt_hash[:12]}"


def recaptioning(task: str, model: str, revision: str, prompt_hash: str) -> str:
    """Return the stage of one kind of caption by ``model``: one that is turned away says nothing of the other kind.

    >>> recaptioning("recap_long", "rules://", "3", "5f2a90c1d3e4b687")
    'recaption_images/recap_long/rules://@3/5f2a90c1d3e4'
    """
    return f"recaption_images/{task}/{model}@{revision}/{prompt_hash[:12]}"

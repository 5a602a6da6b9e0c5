"""Read the weights of a mix as people write them: ``alt_text=0.5,long_positive=0.5``."""

from lakehouse.errors import BadInput


def parse_weights(text: str) -> dict[str, float]:
    """Return column -> weight; raise BadInput for anything but ``column=weight,column=weight``.

    >>> parse_weights("alt_text=1, long_positive=3")
    {'alt_text': 1.0, 'long_positive': 3.0}
    """
    try:
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        weights = {name.strip(): float(weight) for name, weight in pairs}
    except ValueError as error:
        raise BadInput(f"bad mix {text!r}: expected column=weight,column=weight") from error
    if any(weight < 0 for weight in weights.values()) or not sum(weights.values()) > 0:
        raise BadInput(f"bad mix {text!r}: expected weights from 0, one of them above")
    return weights

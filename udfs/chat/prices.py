"""What tokens cost: a small table, which a model URI overrides (``?usd_in=0.15&usd_out=0.60``)."""

from typing import Final, NamedTuple


class Price(NamedTuple):
    """US dollars for a million tokens, read and written."""

    read: float
    written: float
    image_tokens: int = 3_000
    """Most tokens that one image counts for: more than Qwen2-VL's 1,280 and LLaVA-NeXT's 2,880."""

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """Return what so many tokens cost, in US dollars.

        >>> round(Price(0.15, 0.60).of(1_000, 500), 6)
        0.00045
        """
        return (input_tokens * self.read + output_tokens * self.written) / 1e6

    def at(self, share: float) -> "Price":
        """Return the price where only ``share`` of this one is paid."""
        return self._replace(read=share * self.read, written=share * self.written)


FREE: Final = Price(0.0, 0.0)

_LIST: Final = {
    # Prices change: these are those of the provider's page as last looked up, and a URI's own stand over them.
    "gpt-4o": Price(2.50, 10.00),
    "gpt-4o-mini": Price(0.15, 0.60, image_tokens=50_000),
    "gpt-4.1": Price(2.00, 8.00),
    "gpt-4.1-mini": Price(0.40, 1.60),
    "gpt-4.1-nano": Price(0.10, 0.40),
}


def price_of(scheme: str, model: str) -> Price | None:
    """Return the price of ``model``; None where none is known: a server may be one's own, or a shop.

    >>> price_of("openai", "gpt-4o-mini-2024-07-18")
    Price(read=0.15, written=0.6, image_tokens=50000)
    """
    if scheme != "openai":
        return None
    names = [name for name in _LIST if model == name or model.startswith(f"{name}-20")]
    return _LIST[names[0]] if names else None

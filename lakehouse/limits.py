"""What a run may spend and how fast: money, tokens and requests, a minute and in all."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple


class Spend(NamedTuple):
    """An amount: requests sent, tokens read and written, US dollars."""

    requests: int = 0
    tokens: int = 0
    usd: float = 0.0

    def plus(self, other: "Spend") -> "Spend":
        """Return the sum."""
        return Spend(self.requests + other.requests, self.tokens + other.tokens, self.usd + other.usd)

    def minus(self, other: "Spend") -> "Spend":
        """Return the difference."""
        return Spend(self.requests - other.requests, self.tokens - other.tokens, self.usd - other.usd)


NOTHING = Spend()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one run, over all its tasks; None where there is no limit."""

    in_flight: int = 64
    """Most requests that wait for their answer at one time."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    budget_requests: int | None = None
    budget_tokens: int | None = None
    budget_usd: float | None = None

    @property
    def has_budget(self) -> bool:
        """Whether there is an end to what may be spent."""
        return any(one is not None for one in (self.budget_requests, self.budget_tokens, self.budget_usd))

    def part(self, share: float, spent: Spend) -> "Limits":
        """Return the limits with budgets that are used up when a ``share`` of what is left after ``spent`` is.

        >>> Limits(budget_requests=100).part(0.5, Spend(requests=20)).budget_requests
        60
        """

        def cut(budget: float | None, amount: float) -> float | None:
            return None if budget is None else amount + max(0.0, budget - amount) * share

        requests, tokens = cut(self.budget_requests, spent.requests), cut(self.budget_tokens, spent.tokens)
        return replace(
            self,
            budget_requests=None if requests is None else math.floor(requests),
            budget_tokens=None if tokens is None else math.floor(tokens),
            budget_usd=cut(self.budget_usd, spent.usd),
        )

    def exceeded_by(self, spend: Spend) -> str | None:
        """Return the name of the first budget that ``spend`` is over, as the command line has it; None if none."""
        budgets = (
            ("--budget-requests", self.budget_requests, spend.requests),
            ("--budget-tokens", self.budget_tokens, spend.tokens),
            # Sums of dollars that were reserved and given back are off by a rounding error.
            ("--budget-usd", self.budget_usd, spend.usd - 1e-9),
        )
        return next((name for name, limit, amount in budgets if limit is not None and amount > limit), None)

"""Numbers as people read them."""

import math


def count(number: float) -> str:
    """Return a whole number with thousands separators.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{number:,.0f}"


def share(part: float, whole: float) -> str:
    """Return ``part`` of ``whole`` in per cent; a dash where there is no whole.

    >>> share(1, 3), share(1, 100000), share(0, 0)
    ('33.3 %', '< 0.1 %', '—')
    """
    if not whole:
        return "—"
    percent = 100 * part / whole
    return "< 0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"


def duration(seconds: float) -> str:
    """Return a time span in its two largest units.

    >>> duration(0.42), duration(59.7), duration(171), duration(7322)
    ('0.4 s', '1 min 0 s', '2 min 51 s', '2 h 2 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def money(dollars: float) -> str:
    """Return US dollars, with more digits where the sum is small.

    >>> money(0), money(0.0042), money(1234.5)
    ('$0.00', '$0.0042', '$1,234.50')
    """
    return f"${dollars:,.4f}" if 0 < dollars < 0.1 else f"${dollars:,.2f}"


def short(number: float) -> str:
    """Return ``number`` for the narrow place beside an axis.

    >>> short(0), short(950), short(1500), short(2_000_000), short(0.25)
    ('0', '950', '1.5k', '2M', '0.25')
    """
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.3g}"


def round_up(number: float) -> float:
    """Return the next number, from ``number`` on, that is round and whose half is, too: an axis ends there.

    >>> round_up(37), round_up(2100), round_up(0)
    (40.0, 3000.0, 1.0)
    """
    if number <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(number))
    return next(
        (step * power for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if number <= step * power * (1 + 1e-9)),
        10 * power,
    )

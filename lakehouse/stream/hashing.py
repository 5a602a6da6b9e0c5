"""Random numbers as pure functions of what they belong to: the same in every process, thread and version of NumPy."""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_LOW_64_BITS = 0xFFFFFFFFFFFFFFFF
_ID_DIGITS = 64
_KEY_DIGITS = 16
_NOT_HEX = 255

_NIBBLES = np.full(256, _NOT_HEX, np.uint8)
_NIBBLES[[*b"0123456789abcdef"]] = np.arange(16, dtype=np.uint8)


def mixed(values: Hashes) -> Hashes:
    """Return values that look random and never collide where ``values`` differ: the finaliser of splitmix64."""
    values = values + np.uint64(_GOLDEN)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def salted(keys: Hashes, *salts: int) -> Hashes:
    """Return one hash a key that depends on every salt (seed, epoch, purpose) and on their order."""
    for salt in salts:
        keys = mixed(keys ^ mixed(np.array([salt & _LOW_64_BITS], np.uint64)))
    return keys


def fractions(hashes: Hashes) -> npt.NDArray[np.float64]:
    """Return each hash as a number in [0, 1)."""
    return np.asarray((hashes >> np.uint64(11)) * 2.0**-53, np.float64)


def shuffled(count: int, *salts: int) -> npt.NDArray[np.int64]:
    """Return the numbers below ``count`` in an order that depends on the salts alone.

    Not NumPy's generators: their streams may change between versions, and a release must not.
    """
    keys = salted(np.arange(count, dtype=np.uint64), *salts)
    return np.argsort(keys, kind="stable").astype(np.int64)


def sample_keys(sample_ids: pa.Array) -> Hashes:
    """Return 64 bits of each sample id: its first 16 hex digits, which are random as they come from SHA-256.

    An id that is not 64 digits of lower-case hex is hashed first; it only costs time.
    """
    digits = _digits(sample_ids)
    if digits is None:
        return np.array([_hashed(sample_id) for sample_id in sample_ids.to_pylist()], np.uint64)
    places = np.uint64(1) << (np.arange(_KEY_DIGITS, dtype=np.uint64)[::-1] * np.uint64(4))
    return np.asarray((digits.astype(np.uint64) * places).sum(axis=1, dtype=np.uint64))


def _digits(sample_ids: pa.Array) -> npt.NDArray[np.uint8] | None:
    """Return the values of the first digits, a row an id, or None if an id is not such a number."""
    ids = sample_ids.cast(pa.string())
    _, ends, text = ids.buffers()
    starts = np.frombuffer(ends, np.int32)[ids.offset : ids.offset + len(ids) + 1]
    if ids.null_count or not len(ids) or (np.diff(starts) != _ID_DIGITS).any():
        return None
    letters = np.frombuffer(text, np.uint8)[starts[0] : starts[-1]].reshape(len(ids), _ID_DIGITS)
    digits = _NIBBLES[letters[:, :_KEY_DIGITS]]
    return None if (digits == _NOT_HEX).any() else digits


def _hashed(sample_id: str | None) -> int:
    return int.from_bytes(hashlib.sha256((sample_id or "").encode()).digest()[:8], "big")

"""Doubles from text and back, compiled: `%.9g` at the end of lines of two names.

Legend: N pairs or numbers, K names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from csc_cli.compiled import compiled

DIGITS = 9
POWERS = 10.0 ** np.arange(23)  # these are exact
LONGEST = 16  # -1.23456789e-308
BLANK, NEWLINE, MINUS, PLUS, POINT, ZERO, LETTER_E = 32, 10, 45, 43, 46, 48, 101
ONE = np.uint64(1)


class Encoded(NamedTuple):
    """Names as bytes, one after the other."""

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]  # (K + 1,)

    @classmethod
    def of(cls, names: Sequence[str] | NDArray[np.object_]) -> Encoded:
        data = [name.encode() for name in names]
        starts = np.zeros(len(data) + 1, np.int64)
        np.cumsum([len(name) for name in data], out=starts[1:])
        return cls(np.frombuffer(b"".join(data) or b"\0", np.uint8), starts)

    @property
    def longest(self) -> int:
        """The most bytes that a name has."""
        return int(np.diff(self.starts).max(initial=0))


class LineWriter:
    """Lines `ENROLL TEST NUMBER`, the numbers as Python's `%.9g` has them, correctly rounded."""

    def __init__(self, enroll: Encoded, test: Encoded) -> None:
        self.enroll, self.test = enroll, test

    def lines(self, enroll: NDArray[np.integer], test: NDArray[np.integer], values: NDArray[np.float64]) -> memoryview:
        """The lines of pairs (N,), rows of the names."""
        buffer = np.empty(len(values) * (self.enroll.longest + self.test.longest + LONGEST + 3), np.uint8)
        pair, size = 0, 0
        while True:
            pair, size = _write_lines(buffer, size, pair, enroll, test, values, *self.enroll, *self.test)
            if pair == len(values):
                return buffer[:size].data
            # Outside the range of the exact powers, which scores hardly ever leave.
            text = f"{values[pair]:.{DIGITS}g}\n".encode()
            buffer[size : size + len(text)] = np.frombuffer(text, np.uint8)
            size += len(text)
            pair += 1


def parse_numbers(
    data: NDArray[np.uint8], starts: NDArray[np.integer], ends: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The doubles (N,) that stand in the bytes from `starts` to `ends` (N,); NaN where there is no number.

    As `float` reads them: what has few digits and a small exponent is exact by one product or quotient
    (Clinger 1990); the rest is left to Python.
    """
    values = np.empty(len(starts))
    for i in np.flatnonzero(_parse_numbers(data, starts, ends, values)):
        values[i] = _float(data[starts[i] : ends[i]].tobytes())
    return values


def match_words(
    data: NDArray[np.uint8], starts: NDArray[np.integer], ends: NDArray[np.integer], words: Sequence[bytes]
) -> NDArray[np.int8]:
    """Which of the words stands in the bytes from `starts` to `ends`: (N,), -1 for none."""
    codes = np.full(len(starts), -1, np.int8)
    for code, word in enumerate(words):
        _match(data, starts, ends, np.frombuffer(word, np.uint8), code, codes)
    return codes


def _float(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


@compiled
def _match(data, starts, ends, word, code, codes):  # type: ignore[no-untyped-def]
    for i in range(len(starts)):
        first, length = np.uint64(starts[i]), np.uint64(ends[i]) - np.uint64(starts[i])
        if length == np.uint64(len(word)):
            j = np.uint64(0)
            while j < length and data[first + j] == word[j]:
                j += ONE
            if j == length:
                codes[i] = code


@compiled
def _parse_numbers(data, starts, ends, values):  # type: ignore[no-untyped-def]
    """Fill `values` with what is of the form [-+]digits[.digits][e[-+]digits]; returns whether each is another's."""
    hard = np.zeros(len(starts), np.bool_)
    for i in range(len(starts)):
        at, end = np.uint64(starts[i]), np.uint64(ends[i])
        negative = data[at] == MINUS
        if negative or data[at] == PLUS:
            at += ONE
        mantissa, digits, exponent, point = np.int64(0), 0, np.int64(0), False
        while at < end:
            byte = np.int64(data[at])
            if ZERO <= byte < ZERO + 10:
                digits += 1
                if digits < 19:
                    mantissa = mantissa * 10 + (byte - ZERO)
                exponent -= point
            elif byte == POINT and not point:
                point = True
            else:
                break
            at += ONE
        simple = 0 < digits < 19 and mantissa < 1 << 53
        if simple and at + ONE < end and (data[at] == LETTER_E or data[at] == LETTER_E - 32):
            at += ONE
            down = data[at] == MINUS
            if down or data[at] == PLUS:
                at += ONE
            power, first = np.int64(0), at
            while at < end and ZERO <= np.int64(data[at]) < ZERO + 10 and power < 1000:
                power = power * 10 + (np.int64(data[at]) - ZERO)
                at += ONE
            simple = at > first
            exponent += -power if down else power
        if not simple or at != end or exponent > 22 or exponent < -22:
            hard[i] = True
            continue
        value = mantissa * POWERS[exponent] if exponent >= 0 else mantissa / POWERS[-exponent]
        values[i] = -value if negative else value
    return hard


@compiled
def _product_error(x, y, product):  # type: ignore[no-untyped-def]
    """x y - product, exactly (Dekker 1971)."""
    split = 134217729.0  # 2^27 + 1
    a = split * x
    x_high = a - (a - x)
    x_low = x - x_high
    b = split * y
    y_high = b - (b - y)
    y_low = y - y_high
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


@compiled
def _scaled(x, power):  # type: ignore[no-untyped-def]
    """x 10^power to the nearest integer, ties to even; x > 0, |power| <= 22, the result below 2^53."""
    if power >= 0:
        y = x * POWERS[power]
        rest = _product_error(x, POWERS[power], y)
    else:
        y = x / POWERS[-power]
        rest = -_product_error(y, POWERS[-power], x)
    whole = np.int64(y)
    half = y - whole - 0.5
    if half > 0 or (half == 0 and (rest > 0 or (rest == 0 and whole % 2 == 1))):
        whole += 1
    return whole


@compiled
def _put_digits(buffer, at, count, whole):  # type: ignore[no-untyped-def]
    """The last `count` digits of `whole`, from `at` on; returns what is left of it."""
    for i in range(count):
        rest = whole // np.uint64(10)
        buffer[at + np.uint64(count - 1 - i)] = ZERO + (whole - rest * np.uint64(10))
        whole = rest
    return whole


@compiled
def _put_number(buffer, at, x):  # type: ignore[no-untyped-def]
    """Write `%.9g` of x at `at`; returns the place after it, or 0 where x is out of range."""
    if np.signbit(x):
        buffer[at] = MINUS
        at += ONE
        x = -x
    if x == 0:
        buffer[at] = ZERO
        return at + ONE
    if not 1e-13 < x < 1e22:
        return np.uint64(0)
    exponent = np.int64(np.floor(np.log10(x)))
    # log10 may be off by one at a power of ten, and rounding may reach the next one.
    number = _scaled(x, DIGITS - 1 - exponent)
    if number < 10 ** (DIGITS - 1) or number >= 10**DIGITS:
        exponent += 1 if number >= 10**DIGITS else -1
        number = _scaled(x, DIGITS - 1 - exponent)
    whole, kept = np.uint64(number), DIGITS
    while whole == whole // np.uint64(10) * np.uint64(10):
        whole //= np.uint64(10)
        kept -= 1
    scientific = exponent < -4 or exponent >= DIGITS
    before = 1 if scientific else exponent + 1  # digits before the point
    if before <= 0:
        for i in range(2 - before):  # 0.00
            buffer[at + np.uint64(i)] = ZERO
        buffer[at + ONE] = POINT
        at += np.uint64(2 - before)
        _put_digits(buffer, at, kept, whole)
        at += np.uint64(kept)
    elif before >= kept:
        _put_digits(buffer, at, kept, whole)
        for i in range(kept, before):
            buffer[at + np.uint64(i)] = ZERO
        at += np.uint64(before)
    else:
        whole = _put_digits(buffer, at + np.uint64(before + 1), kept - before, whole)
        buffer[at + np.uint64(before)] = POINT
        _put_digits(buffer, at, before, whole)
        at += np.uint64(kept + 1)
    if scientific:
        buffer[at], buffer[at + ONE] = LETTER_E, MINUS if exponent < 0 else PLUS
        at += np.uint64(2)
        _put_digits(buffer, at, 2, np.uint64(abs(exponent)))
        at += np.uint64(2)
    return at


@compiled
def _put_name(buffer, at, text, starts, name):  # type: ignore[no-untyped-def]
    first, length = np.uint64(starts[name]), np.uint64(starts[name + 1] - starts[name])
    for i in range(length):
        buffer[at + np.uint64(i)] = text[first + np.uint64(i)]
    buffer[at + length] = BLANK
    return at + length + ONE


@compiled
def _write_lines(  # type: ignore[no-untyped-def]
    buffer, at, pair, enroll, test, values, e_text, e_starts, t_text, t_starts
):
    """Lines from `pair` on; stops after the two names of one whose number is out of range."""
    at = np.uint64(at)
    for i in range(pair, len(values)):
        at = _put_name(buffer, at, e_text, e_starts, enroll[i])
        at = _put_name(buffer, at, t_text, t_starts, test[i])
        end = _put_number(buffer, at, values[i])
        if end == 0:
            return i, at
        buffer[end] = NEWLINE
        at = end + ONE
    return len(values), at

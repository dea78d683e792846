"""Kaldi's compressed matrices, both ways; legend: N rows, D columns.

kaldiio is left aside here: what it decompresses differs from Kaldi's values in the last bits, what it
compresses in whole steps, because it rounds in other places. Here each operation is done in the
precision in which Kaldi's own program does it.

A matrix has a header (least value, range, N, D), then one of three forms. `CM `: four percentiles a column in
16 bits and a byte a value between them, column by column; `CM2 `: 16 bits a value; `CM3 `: a byte a value.
"""

from __future__ import annotations

import struct

import numpy as np

from csc_cli.errors import DataError

HEADER = struct.Struct("<ffii")
UNIT_16 = np.float32(1.52590218966964e-05)  # 1 / 65535, with Kaldi's digits
AUTOMATIC, SPEECH_FEATURE, TWO_BYTE_AUTO, TWO_BYTE_SIGNED, ONE_BYTE_AUTO, ONE_BYTE_UNSIGNED, ONE_BYTE_ZERO_ONE = range(
    1, 8
)
METHODS = range(1, 8)
# Least value and range of the methods that do not look at the matrix.
FIXED = {TWO_BYTE_SIGNED: (-32768.0, 65535.0), ONE_BYTE_UNSIGNED: (0.0, 255.0), ONE_BYTE_ZERO_ONE: (0.0, 1.0)}
FORMS = {
    SPEECH_FEATURE: b"CM ",
    TWO_BYTE_AUTO: b"CM2 ",
    TWO_BYTE_SIGNED: b"CM2 ",
    ONE_BYTE_AUTO: b"CM3 ",
    ONE_BYTE_UNSIGNED: b"CM3 ",
    ONE_BYTE_ZERO_ONE: b"CM3 ",
}
SEGMENTS = ((0, 64), (64, 192), (192, 255))  # the bytes between two percentiles


def body_size(form: bytes, rows: int, columns: int) -> int:
    """Bytes that follow the header."""
    return {b"CM ": columns * (8 + rows), b"CM2 ": 2 * rows * columns, b"CM3 ": rows * columns}[form]


def decompress(form: bytes, header: bytes, body: bytes) -> np.ndarray:
    """The matrix (N, D) float32, the same bits as Kaldi's; `body` has `body_size` bytes."""
    low, extent, rows, columns = HEADER.unpack(header)
    least, span = np.float32(low), np.float32(extent)
    with np.errstate(all="ignore"):  # a damaged header gives infinities, which the reader then names
        if form == b"CM ":
            return _from_percentiles(body, least, span, rows, columns)
        kind, steps = ("<u2", 65535.0) if form == b"CM2 " else ("u1", 255.0)
        increment = np.float32(float(span) * (1.0 / steps))
        codes = np.frombuffer(body, kind).astype(np.float32).reshape(rows, columns)
        return least + codes * increment


def _from_percentiles(body: bytes, least: np.float32, span: np.float32, rows: int, columns: int) -> np.ndarray:
    p = _percentiles(np.frombuffer(body, "<u2", 4 * columns).reshape(columns, 4), least, span)
    codes = np.frombuffer(body, np.uint8, offset=8 * columns).reshape(columns, rows)
    # Each column has 256 possible values: a table of them, then a look-up.
    table = np.empty((columns, 256), np.float32)
    for (first, last), left, right in zip(SEGMENTS, p, p[1:], strict=False):
        inside = np.arange(first + (first > 0), last + 1)
        steps = (right - left)[:, None] * (inside - first).astype(np.float32)
        table[:, inside] = left[:, None] + steps.astype(np.float64) * (1 / (last - first))
    return np.ascontiguousarray(np.take_along_axis(table, codes.astype(np.intp), axis=1).T)


def _percentiles(codes: np.ndarray, least: np.float32, span: np.float32) -> np.ndarray:
    """(D, 4) codes of 16 bits -> (4, D) float32."""
    return least + span * UNIT_16 * codes.T.astype(np.float32)


def compress(matrix: np.ndarray, method: int) -> bytes:
    """Type, header and body of a matrix (N, D), the same bytes as Kaldi's `--compression-method=METHOD`.

    Args:
        matrix: N > 0, D > 0.
        method: 1 to 7; 1 takes 2 where N > 8, and else 3.

    Raises:
        DataError: no such method, or a value that is not finite.
    """
    if method not in METHODS:
        raise DataError(f"compression method {method}: Kaldi has 1 to 7; 1 chooses by the size")
    matrix = np.asarray(matrix, np.float32)
    if not np.isfinite(matrix).all():
        raise DataError("has values that are not finite, which cannot be compressed; leave compression out")
    if method == AUTOMATIC:
        method = SPEECH_FEATURE if len(matrix) > 8 else TWO_BYTE_AUTO
    least, span = _range(matrix, method)
    form = FORMS[method]
    if form == b"CM ":
        body = _to_percentiles(matrix, least, span)
    elif form == b"CM2 ":
        body = _codes(matrix, least, span, 65535).astype("<u2").tobytes()
    else:
        body = _codes(matrix, least, span, 255).astype(np.uint8).tobytes()
    return form + HEADER.pack(least, span, *matrix.shape) + body


def _range(matrix: np.ndarray, method: int) -> tuple[np.float32, np.float32]:
    if method in FIXED:
        least, span = FIXED[method]
        return np.float32(least), np.float32(span)
    low, high = matrix.min(), matrix.max()
    if low == high:
        high = np.float32(float(low) + (1.0 + abs(float(low))))
    with np.errstate(over="ignore"):
        span = high - low
    if not np.isfinite(span):
        raise DataError("has a range that float32 cannot hold, which cannot be compressed; leave compression out")
    return low, span


def _codes(values: np.ndarray, least: np.float32, span: np.float32, steps: int) -> np.ndarray:
    """Whole numbers 0 to `steps`; Kaldi multiplies in float32 and adds 0.499 in float64."""
    share = ((values - least) / span).clip(0, 1)
    return ((share * np.float32(steps)).astype(np.float64) + 0.499).astype(np.int64)


def _to_percentiles(matrix: np.ndarray, least: np.float32, span: np.float32) -> bytes:
    codes = _column_headers(matrix, least, span)  # (D, 4)
    p = _percentiles(codes, least, span)
    segment = (matrix >= p[1]).astype(int) + (matrix >= p[2])
    result = np.zeros(matrix.shape, np.int64)
    for index, (first, last) in enumerate(SEGMENTS):
        with np.errstate(all="ignore"):  # the other two segments' values are thrown away
            share = (matrix - p[index]) / (p[index + 1] - p[index])
            inside = first + ((share * np.float32(last - first)).astype(np.float64) + 0.5).astype(np.int64)
        result = np.where(segment == index, inside.clip(first, last), result)
    return codes.astype("<u2").tobytes() + result.T.astype(np.uint8).tobytes()


def _column_headers(matrix: np.ndarray, least: np.float32, span: np.float32) -> np.ndarray:
    """The codes (D, 4) of the 0th, 25th, 75th and 100th percentile; each above the one before it."""
    rows = len(matrix)
    in_order = np.sort(matrix, axis=0)
    ranks = (0, rows // 4, 3 * (rows // 4), rows - 1) if rows >= 5 else range(min(rows, 4))
    codes = [_codes(in_order[rank], least, span, 65535) for rank in ranks]
    result = [np.minimum(codes[0], 65532)]
    for index, most in ((1, 65533), (2, 65534), (3, 65535)):
        after = result[-1] + 1
        result.append(np.minimum(np.maximum(codes[index], after), most) if index < len(codes) else after)
    return np.stack(result, axis=1)

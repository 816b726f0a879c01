"""Python values to Arrow arrays, checked one by one.

Built from buffers: `pyarrow.array` imports pandas wherever it is installed, which costs every worker a fifth
of a second and forty megabytes for nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genepool.errors import PluginError

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = {
    "bool": "?", "int8": "i1", "int16": "i2", "int32": "<i4", "int64": "<i8", "uint8": "u1", "uint16": "<u2",
    "uint32": "<u4", "uint64": "<u8", "float": "<f4", "float32": "<f4", "double": "<f8", "float64": "<f8",
}  # fmt: skip


@functools.cache
def arrow_type(name: str) -> pa.DataType:
    """``string``, ``float``, ``int32``, ``bool``, ``binary`` … or ``binary(n)`` as an Arrow type.

    Raises:
        PluginError: Not one of the types that a column may have.
    """
    import pyarrow as pa

    if sized := re.fullmatch(r"binary\((\d+)\)", name):
        return pa.binary(int(sized[1]))
    if name in ("string", "binary") or name in _NUMBERS:
        return pa.type_for_alias(name)
    raise PluginError(
        f"column type {name!r}: expected string, binary, binary(n), {', '.join(_NUMBERS)}",
        hint="structured values go into a string column as JSON",
    )


def column(values: list[Any], kind: str, faults: dict[int, str]) -> pa.Array:
    """An array of one type; a value that does not fit becomes null and is explained.

    Args:
        values: Python values, None for null.
        kind: A name for `arrow_type`.
        faults: Receives position → what was expected and found.
    """
    import pyarrow as pa

    wanted = arrow_type(kind)
    check = _check(kind)
    checked: list[Any] = []
    for i, value in enumerate(values):
        try:
            checked.append(None if value is None else check(value))
        except (TypeError, ValueError, OverflowError) as error:
            checked.append(None)
            why = str(error).splitlines() or [""]
            faults[i] = f"expected {kind}, found {type(value).__name__} {why[0]}".rstrip()
    valid = np.array([value is not None for value in checked], bool)
    mask = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    n, missing = len(checked), int((~valid).sum())
    if kind in _NUMBERS:
        numbers = np.array([0 if v is None else v for v in checked], dtype=_NUMBERS[kind])
        data = np.packbits(numbers, bitorder="little") if kind == "bool" else numbers
        return pa.Array.from_buffers(wanted, n, [mask, pa.py_buffer(data)], missing)
    if kind not in ("string", "binary"):
        width = wanted.byte_width
        joined = b"".join(bytes(width) if v is None else v for v in checked)
        return pa.Array.from_buffers(wanted, n, [mask, pa.py_buffer(joined)], missing)
    offsets = np.zeros(n + 1, np.int32)
    np.cumsum([0 if v is None else len(v) for v in checked], out=offsets[1:])
    joined = b"".join(v for v in checked if v is not None)
    return pa.Array.from_buffers(wanted, n, [mask, pa.py_buffer(offsets), pa.py_buffer(joined)], missing)


def positions(rows: NDArray[Any]) -> pa.Array:
    """Row numbers as an array that `pyarrow.Table.take` and `filter` accept: int64, or bool for a mask."""
    import pyarrow as pa

    if rows.dtype == np.bool_:
        packed = pa.py_buffer(np.packbits(rows, bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), len(rows), [None, packed])
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows.astype("<i8"))])


def _check(kind: str) -> Callable[[Any], Any]:
    if kind in _NUMBERS:
        return functools.partial(_number, np.dtype(_NUMBERS[kind]))
    if kind == "string":
        return _string
    return functools.partial(_binary, 0 if kind == "binary" else int(kind[7:-1]))


def _number(dtype: np.dtype[Any], value: Any) -> Any:
    if isinstance(value, (str, bytes)) or np.ndim(value):
        raise TypeError("that is not a number")
    if dtype.kind == "b" and not isinstance(value, (bool, np.bool_)):
        raise TypeError("that is not True or False")
    if dtype.kind in "iu":
        if value != int(value):
            raise ValueError(f"{value!r}")
        limits = np.iinfo(dtype)
        if not limits.min <= int(value) <= limits.max:
            raise OverflowError(f"{value!r}")
        return int(value)
    return bool(value) if dtype.kind == "b" else float(value)


def _string(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError("that is not text")
    return value.encode()


def _binary(width: int, value: Any) -> bytes:
    data = bytes(memoryview(value))
    if width and len(data) != width:
        raise ValueError(f"of {len(data)} bytes")
    return data

"""A block's result as bytes: a tree of plain values and arrays in one safetensors file, equal bytes for equal values.

A tree is None, bool, int, float, str, list, dict with string keys, or a NumPy array. Arrays stand in the safetensors body under the names "0", "1" …;
everything else is JSON in the metadata entry ``tree``. Reading trusts nothing: sizes and the header's digest are checked against the manifest before
memory is taken, the header is parsed with bounds, and no byte is executed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.numpy import save

from sgdsde.types import InputError, SgdsdeError

Tree = Any  # None | bool | int | float | str | list[Tree] | dict[str, Tree] | np.ndarray

#: the largest header that is read: a tree is a few names and numbers, arrays carry the bulk
MAX_HEADER = 16 * 2**20
_KINDS = {"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8", "I64": "<i8"}
_KINDS |= {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
_MAX_DEPTH = 64


class DamagedChunk(SgdsdeError):
    """These bytes are not a chunk that this package wrote; the reason is the message."""


def encode(tree: Tree) -> bytes:
    """A tree as bytes; deterministic.

    Raises:
        InputError: the tree holds something else (the place is told), or an array of strings or objects.
    """
    arrays: dict[str, np.ndarray] = {}
    skeleton = _flatten(tree, arrays, "result", 0)
    text = json.dumps(skeleton, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return bytes(save(arrays, metadata={"tree": text}))


def decode(data: bytes) -> Tree:
    """The tree in these bytes; its arrays are read-only views of them.

    Raises:
        DamagedChunk: they are no chunk.
    """
    header, body = _header(data)
    try:
        skeleton = json.loads(header["__metadata__"]["tree"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedChunk(f"no tree in the header ({type(error).__name__})") from None
    arrays = {name: _array(entry, body) for name, entry in header.items() if name != "__metadata__"}
    return _restore(skeleton, arrays, 0)


def header_length(prefix: bytes, size: int) -> int:
    """Bytes of length field and header together, from the first 8 bytes of a file of ``size`` bytes.

    Raises:
        DamagedChunk: the length cannot be.
    """
    if len(prefix) < 8:
        raise DamagedChunk(f"{len(prefix)} bytes are no chunk")
    length = int.from_bytes(prefix[:8], "little") + 8
    if length > min(size, MAX_HEADER):
        raise DamagedChunk(f"the header claims {length} bytes of a file of {size}")
    return length


def header_digest(header: bytes) -> str:
    """16 hexadecimal digits of the header's SHA-256: what the manifest holds against the header alone."""
    return hashlib.sha256(header).hexdigest()[:16]


def _flatten(value: Tree, arrays: dict[str, np.ndarray], place: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise InputError(f"{place}: nested deeper than {_MAX_DEPTH} levels.")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value, order="C")
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.dtype.kind not in "?biuf" or array.dtype.itemsize > 8:
            raise InputError(f"{place}: an array of {array.dtype}; wanted booleans, integers or floats of at most 64 bits.")
        name = str(len(arrays))
        arrays[name] = array
        return {"$array": name}
    if isinstance(value, (list, tuple)):
        return [_flatten(item, arrays, f"{place}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key.startswith("$"):
                raise InputError(f"{place}: the key {key!r}; wanted a string that does not start with '$'.")
        return {key: _flatten(item, arrays, f"{place}.{key}", depth + 1) for key, item in value.items()}
    raise InputError(f"{place}: a {type(value).__name__}; wanted plain values and NumPy arrays.")


def _restore(value: Any, arrays: Mapping[str, np.ndarray], depth: int) -> Tree:
    if depth > _MAX_DEPTH + 1:
        raise DamagedChunk("nested too deeply")
    if isinstance(value, list):
        return [_restore(item, arrays, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        try:
            return arrays[value["$array"]]
        except (KeyError, TypeError):
            raise DamagedChunk("the tree names an array that is not there") from None
    if "$float" in value:
        if value["$float"] not in ("nan", "inf", "-inf"):
            raise DamagedChunk("an unknown special number")
        return float(value["$float"])
    return {key: _restore(item, arrays, depth + 1) for key, item in value.items()}


def _header(data: bytes) -> tuple[dict[str, Any], memoryview]:
    length = header_length(data[:8], len(data))
    try:
        header = json.loads(data[8:length])
    except (ValueError, RecursionError):
        raise DamagedChunk("the header is not JSON") from None
    if not isinstance(header, dict):
        raise DamagedChunk("the header is no table")
    return header, memoryview(data)[length:]


def _array(entry: Any, body: memoryview) -> np.ndarray:
    """One array of the header, as a view of the body; every number in the entry is checked first."""
    try:
        kind, shape, (start, end) = np.dtype(_KINDS[entry["dtype"]]), entry["shape"], entry["data_offsets"]
        whole = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in [*shape, start, end])
    except (KeyError, TypeError, ValueError):
        raise DamagedChunk("an array's header entry is malformed") from None
    if not whole or len(shape) > 32 or end > len(body) or end - start != math.prod(shape) * kind.itemsize:
        raise DamagedChunk("an array's shape does not fit its bytes")
    return np.frombuffer(body[start:end], dtype=kind).reshape(shape)

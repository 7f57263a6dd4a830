"""Answers cross between two processes as data: one line of JSON, and nothing that could run.

A value is None, a bool, a number, a text, a tensor, or a list, tuple, set or dict of values. Both
sides use these functions; only what `decode` does in the parent has to be trusted. torch takes a
hundred times as long to import as the rest: only where a tensor comes by is it needed.
"""

import base64
import json
import math
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LONGEST = 8_000_000  # bytes in a line: about 700,000 numbers
MOST = 1000  # entries of a dict or a set: more could be chosen to collide, and cost hours
LARGEST = 2**31  # of one size of a tensor
Message = dict[str, Any]  # of what JSON can hold
FLOATS = ["float64", "float32", "float16", "bfloat16", "complex128", "complex64"]
DTYPES = [*FLOATS, "int64", "int32", "int16", "int8", "uint8", "bool"]


def encode(value: object) -> object:
    """A value as what JSON can hold. Raises a TypeError that names the type it cannot send."""
    if _is_a(value, "numpy", "generic"):  # np.float64 is a float too, and answers like one
        value = value.item()  # type: ignore[attr-defined]
    if _is_a(value, "numpy", "ndarray"):
        import torch

        value = torch.as_tensor(value)
    for kind in (bool, int, float, str):  # of a subclass, what it is at bottom
        if isinstance(value, kind):
            return kind(value)
    if value is None:
        return None
    if _is_a(value, "torch", "Tensor"):
        return _described(value)  # type: ignore[arg-type]
    return _collected(value)


def _collected(value: object) -> object:
    """The form of a value that holds others, or of a complex number."""
    if isinstance(value, list):
        return [encode(entry) for entry in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(entry) for entry in value]}
    if isinstance(value, set | frozenset):
        return {"set": [encode(entry) for entry in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(entry)] for key, entry in value.items()]}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    raise TypeError(f"a {type(value).__name__} is neither numbers, nor text, nor a tensor")


def _described(tensor: "torch.Tensor") -> Message:
    import torch

    whole = tensor.detach().to_dense() if tensor.layout is not torch.strided else tensor.detach()
    whole = whole.cpu().resolve_conj().resolve_neg()
    flat = torch.empty(whole.numel(), dtype=whole.dtype).copy_(whole.reshape(-1))  # no odd stride
    data = flat.view(torch.uint8).numpy().tobytes()
    dtype = str(whole.dtype).removeprefix("torch.")
    return {"dtype": dtype, "shape": list(whole.shape), "data": base64.b64encode(data).decode()}


def _is_a(value: object, module: str, name: str) -> bool:
    """Whether a value has a type of a module, which no value has before it is imported."""
    there = sys.modules.get(module)
    return there is not None and isinstance(value, getattr(there, name))


def decode(value: Any) -> Any:
    """The value of what `encode` wrote. Raises a ValueError on anything else."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [decode(entry) for entry in value]
    if set(value) == {"dtype", "shape", "data"}:
        return _tensor(**value)
    (kind, held), *others = value.items() if value else [(None, None)]
    if others or kind not in READERS or not isinstance(held, list):
        raise ValueError("an answer that is no value")
    return READERS[kind](held)


def _dict(pairs: list[Any]) -> dict[Any, Any]:
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ValueError("an answer that is no value")
    keys = _keys([pair[0] for pair in pairs])
    return dict(zip(keys, (decode(pair[1]) for pair in pairs), strict=True))


def _keys(entries: list[Any]) -> list[Any]:
    """Entries of a set, or keys of a dict: few, and of a kind that can be one."""
    if len(entries) > MOST:
        raise ValueError(f"a dict or a set of more than {MOST} entries")
    keys = [decode(entry) for entry in entries]
    if not all(entry is None or isinstance(entry, bool | int | float | str) for entry in keys):
        raise ValueError("a dict or a set with keys that are neither numbers nor text")
    return keys


def _complex(parts: list[Any]) -> complex:
    if len(parts) != 2 or not all(type(part) is float for part in parts):
        raise ValueError("an answer that is no value")
    return complex(*parts)


READERS: dict[object, Callable[[list[Any]], Any]] = {
    "tuple": lambda held: tuple(map(decode, held)),
    "set": lambda held: set(_keys(held)),
    "dict": _dict,
    "complex": _complex,
}


def _tensor(dtype: Any, shape: Any, data: Any) -> "torch.Tensor":
    if dtype not in DTYPES:
        raise ValueError(f"a tensor of dtype {dtype!r}: send one of {', '.join(DTYPES)}")
    sizes_fit = isinstance(shape, list) and len(shape) <= 64 and isinstance(data, str)
    if not sizes_fit or not all(type(size) is int and 0 <= size < LARGEST for size in shape):
        raise ValueError("a tensor whose numbers do not fit its shape")
    import torch

    kind, numbers = getattr(torch, dtype), bytearray(base64.b64decode(data, validate=True))
    if math.prod(shape) * kind.itemsize != len(numbers):
        raise ValueError("a tensor whose numbers do not fit its shape")
    if not numbers:
        return torch.empty(shape, dtype=kind)
    flat = torch.frombuffer(numbers, dtype=torch.uint8)
    tensor: torch.Tensor = flat.bool() if kind is torch.bool else flat.view(kind)
    return tensor.reshape(shape)


def send(channel: socket.socket, message: Message, deadline: float | None = None) -> None:
    """Write one line. Raises TimeoutError when the other side does not read it in time."""
    _allow(channel, deadline)
    channel.sendall(json.dumps(message).encode() + b"\n")


def receive(channel: socket.socket, buffer: bytearray, deadline: float | None = None) -> Any:
    """Read one line; `buffer` keeps the rest. Raises EOFError, ValueError or TimeoutError."""
    while (end := buffer.find(b"\n")) < 0:
        if len(buffer) > LONGEST:
            raise ValueError(f"an answer of more than {LONGEST // 1_000_000} MB")
        _allow(channel, deadline)
        piece = channel.recv(65536)
        if not piece:
            raise EOFError
        buffer += piece
    line = bytes(buffer[:end])
    del buffer[: end + 1]
    return json.loads(line)


def _allow(channel: socket.socket, deadline: float | None) -> None:
    """Let the next call on the socket wait until the deadline, and no longer."""
    if deadline is not None:
        channel.settimeout(max(1e-3, deadline - time.monotonic()))

"""Answers cross between two processes as data: one line of JSON, and nothing that could run.

A value is None, a bool, a number, a text, a list, a dict with text keys, or a tensor. Both sides
use these functions; only what `decode` does in the parent has to be trusted. torch takes a hundred
times as long to import as the rest: only where a tensor comes by is it needed.
"""

import json
import math
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LONGEST = 8_000_000  # bytes in a line: about 400,000 numbers
Message = dict[str, Any]  # of what JSON can hold
DTYPES = {"float32": float, "float64": float, "int64": int, "bool": bool}


def encode(value: object) -> object:
    """A value as what JSON can hold. Raises a TypeError that names the type it cannot send."""
    if _is_a(value, "numpy", "ndarray", "generic"):
        import torch

        value = torch.as_tensor(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if _is_a(value, "torch", "Tensor"):
        tensor: torch.Tensor = value  # type: ignore[assignment]
        dtype = str(tensor.dtype).removeprefix("torch.")
        numbers = tensor.detach().flatten().tolist()
        return {"dtype": dtype, "shape": list(tensor.shape), "tensor": numbers}
    if isinstance(value, list | tuple):
        return [encode(entry) for entry in value]
    if isinstance(value, dict):
        return {"dict": {str(key): encode(entry) for key, entry in value.items()}}
    raise TypeError(f"a {type(value).__name__} is neither numbers, nor text, nor a tensor")


def _is_a(value: object, module: str, *names: str) -> bool:
    """Whether a value has one of a module's types, which no value has before it is imported."""
    there = sys.modules.get(module)
    return there is not None and isinstance(value, tuple(getattr(there, name) for name in names))


def decode(value: Any) -> Any:
    """The value of what `encode` wrote. Raises a ValueError on anything else."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [decode(entry) for entry in value]
    if set(value) == {"dict"} and isinstance(value["dict"], dict):
        return {key: decode(entry) for key, entry in value["dict"].items()}
    if set(value) == {"dtype", "shape", "tensor"}:
        return _tensor(value["dtype"], value["shape"], value["tensor"])
    raise ValueError("an answer that is no value")


def _tensor(dtype: Any, shape: Any, numbers: Any) -> "torch.Tensor":
    kind = DTYPES.get(dtype) if isinstance(dtype, str) else None
    if kind is None:
        raise ValueError(f"a tensor of dtype {dtype!r}: send one of {', '.join(DTYPES)}")
    sizes_fit = isinstance(shape, list) and len(shape) <= 8 and isinstance(numbers, list)
    sizes_fit = sizes_fit and all(type(size) is int and size >= 0 for size in shape)
    if not sizes_fit or math.prod(shape) != len(numbers):
        raise ValueError("a tensor whose numbers do not fit its shape")
    if not all(type(number) is kind for number in numbers):
        raise ValueError(f"a tensor of {dtype} that holds something else")
    import torch

    tensor: torch.Tensor = torch.tensor(numbers, dtype=getattr(torch, dtype)).reshape(shape)
    return tensor


def send(channel: socket.socket, message: Message, deadline: float | None = None) -> None:
    """Write one line. Raises TimeoutError when the other side does not read it in time."""
    _allow(channel, deadline)
    channel.sendall(json.dumps(message).encode() + b"\n")


def receive(channel: socket.socket, buffer: bytearray, deadline: float | None = None) -> Any:
    """Read one line; `buffer` keeps the rest. Raises EOFError, ValueError or TimeoutError."""
    while b"\n" not in buffer:
        if len(buffer) > LONGEST:
            raise ValueError(f"an answer of more than {LONGEST // 1_000_000} MB")
        _allow(channel, deadline)
        piece = channel.recv(65536)
        if not piece:
            raise EOFError
        buffer += piece
    line, _, rest = bytes(buffer).partition(b"\n")
    buffer[:] = rest
    return json.loads(line)


def _allow(channel: socket.socket, deadline: float | None) -> None:
    """Let the next call on the socket wait until the deadline, and no longer."""
    if deadline is not None:
        channel.settimeout(max(1e-3, deadline - time.monotonic()))

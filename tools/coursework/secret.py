"""The secret of the person who grades: any phrase, and the seeds that come of it.

The numbers of the hidden tests come from this secret. Whoever knows a seed must not get from it to
another seed, nor to the phrase: a keyed hash sees to the first, a slow one to the second.
"""

import functools
import hashlib
import os

PUBLIC = ""  # no secret: the numbers of the examples
SHORTEST = 16  # characters; a shorter phrase can be guessed, whatever is done with it
COST = {"n": 2**14, "r": 8, "p": 1}  # of scrypt: 16 MB and a twentieth of a second for each guess


def of_environment() -> str:
    """The phrase in COURSEWORK_SEED, or none."""
    return os.environ.get("COURSEWORK_SEED", PUBLIC)


@functools.cache
def key(phrase: str) -> bytes:
    """The key of a phrase, 32 bytes; a phrase may hold any bytes that a shell can pass on."""
    return hashlib.scrypt(os.fsencode(phrase), salt=b"fsps_lite coursework", dklen=32, **COST)


def seed(phrase: str, assignment: str, question: str) -> int:
    """The seed of one question, below 2^62: each question has a stream of its own."""
    told = f"{assignment}/{question}".encode()
    return int.from_bytes(hashlib.blake2b(told, key=key(phrase), digest_size=8).digest()) >> 2


def warning(phrase: str) -> str:
    """What is wrong with a phrase as a secret, in a sentence, or nothing."""
    if phrase == PUBLIC:
        return (
            "The hidden tests use the public seed. Choose a secret of your own: "
            "make grade SEED=a-phrase-that-you-tell-nobody"
        )
    if len(phrase) < SHORTEST:
        return (
            f"A secret of {len(phrase)} characters can be guessed by trying: take a phrase of "
            f"{SHORTEST} or more. With another phrase the hidden tests ask with other numbers."
        )
    return ""

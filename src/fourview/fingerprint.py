"""Digests and fingerprints: what tells that two texts, files or sets of weights are the same.

All are SHA-256. A *digest* is whole, 64 hexadecimal digits, and stands where a file is checked; a
*fingerprint* is its first 16, which is enough to tell settings apart, and names folders. They are
kept on disks and in checkpoints: what a function makes of a value must never change. The digest of
a table is in ``manifest.content_hash``.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LENGTH = 16  # hexadecimal digits of a fingerprint


def digest_of_text(text: str) -> str:
    """Digest of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_texts(texts: Iterable[str]) -> str:
    """Digest of several texts, each with its length, so that ("ab", "c") is not ("a", "bc")."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def digest_of_parts(parts: Iterable[bytes | memoryview]) -> str:
    """Digest of bytes that come one part after the other, as if they were one."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def digest_of_file(path: Path) -> str:
    """Digest of a file, which may be larger than the memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint_of(settings: Any) -> str:
    """Fingerprint of plain values (as JSON has them); the order of keys does not count."""
    return short(digest_of_text(json.dumps(settings, sort_keys=True)))


def short(digest: str) -> str:
    """The fingerprint that a digest begins with."""
    return digest[:LENGTH]


def number_of(text: str, *, num_bytes: int = 8) -> int:
    """A number that only the text decides, the same on every machine: a seed, or part of an id."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:num_bytes], "big")


def numbers_of(texts: Iterable[str], *, seed: int) -> list[int]:
    """As ``number_of``, for many texts and a seed, and quicker: BLAKE2b with 64 bits."""
    start = hashlib.blake2b(f"{seed}:".encode(), digest_size=8)
    numbers = []
    for text in texts:
        digest = start.copy()
        digest.update(text.encode())
        numbers.append(int.from_bytes(digest.digest(), "little"))
    return numbers

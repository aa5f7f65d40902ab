"""Digests and fingerprints stay what they are: they are kept on disks and in checkpoints."""

import hashlib
import json
import subprocess
from pathlib import Path

import fourview
from fourview import fingerprint


def test_digests_are_those_of_sha256sum(tmp_path):
    path = tmp_path / "a"
    path.write_bytes("Brüste".encode())
    said = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout
    digest = said.split()[0]
    assert fingerprint.digest_of_file(path) == digest
    assert fingerprint.digest_of_text("Brüste") == digest
    assert fingerprint.digest_of_parts([b"Br", "üste".encode()]) == digest
    assert fingerprint.short(digest) == digest[:16]


def test_settings_have_the_fingerprint_of_their_sorted_json():
    text = '{"a": [1, null], "b": 0.5}'
    wanted = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert fingerprint.fingerprint_of({"b": 0.5, "a": [1, None]}) == wanted
    assert fingerprint.fingerprint_of(json.loads(text)) == wanted


def test_where_texts_end_counts():
    ab_c, a_bc = (fingerprint.digest_of_texts(t) for t in (["ab", "c"], ["a", "bc"]))
    assert ab_c != a_bc
    plain = b"\2\0\0\0\0\0\0\0ab\1\0\0\0\0\0\0\0c"
    assert ab_c == hashlib.sha256(plain).hexdigest()


def test_numbers_are_the_first_bytes_of_a_hash():
    digest = hashlib.sha256(b"key").hexdigest()
    assert fingerprint.number_of("key") == int(digest[:16], 16)
    assert fingerprint.number_of("key", num_bytes=16) == int(digest[:32], 16)
    plain = [hashlib.blake2b(b"7:" + t, digest_size=8).digest() for t in (b"x", b"y")]
    wanted = [int.from_bytes(digest, "little") for digest in plain]
    assert fingerprint.numbers_of(["x", "y"], seed=7) == wanted


def test_hashes_are_made_in_one_place():
    """But for a table's digest, fed chunk by chunk, a page's own script, and secrets."""
    package = Path(fourview.__file__).parent
    users = {p.name for p in package.rglob("*.py") if "hashlib" in p.read_text()}
    secret = {"pseudonyms.py", "keys.py", "readings.py", "audit.py"}
    assert users == {"fingerprint.py", "content_hash.py", "page.py", *secret}

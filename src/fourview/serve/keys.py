"""Names of exams and images on the wire: no patient id, path or UID is in a URL or a log."""

import hashlib
import hmac
import secrets

from fourview.errors import ServeError

LENGTH = 16  # hexadecimal digits


class Keys:
    """Gives out keys and takes them back; a key that was not given out is unknown.

    Args:
        secret: Of the session; another one makes other keys.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(32)
        self._given: dict[str, tuple[str, ...]] = {}

    def of(self, *names: str) -> str:
        """The key of a thing, by all that names it; the same names give the same key."""
        # With a separator, so that ("ab", "c") and ("a", "bc") have other keys.
        text = "\x1f".join(names).encode()
        key = hmac.new(self._secret, text, hashlib.sha256).hexdigest()[:LENGTH]
        self._given[key] = names
        return key

    def names(self, key: str, kind: str) -> tuple[str, ...]:
        """What a key was given out for, without its kind.

        Raises:
            ServeError: No such key of that kind was given out.
        """
        given = self._given.get(key)
        if given is None or given[0] != kind:
            raise ServeError(f"no {kind} with that key in this session; open the worklist again")
        return given[1:]

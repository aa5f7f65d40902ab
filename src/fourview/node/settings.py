"""``node.toml`` -> frozen settings, checked before anything listens.

Every key has its meaning in docs/node.md. An unknown key is an error with the nearest name. Paths
are relative to the folder of the file.
"""

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from fourview.errors import NodeSettingsError
from fourview.suggest import no_such

GIGABYTE, MEGABYTE = 1_000_000_000, 1_000_000
DAY_S = 86_400.0
_UNITS = {"kb": 1_000, "mb": MEGABYTE, "gb": GIGABYTE, "tb": 1000 * GIGABYTE, "b": 1, "": 1}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TITLE_LENGTH = 16  # characters of an AE title (PS3.5 6.2)

Accept = Literal["MG", "SC", "DBT"]
Kind = Literal["cad-sr", "gsps", "sc", "sr1500", "seg"]


def _bytes(value: Any) -> Any:
    """A number of bytes, or text such as "5 GB"."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError("need a number of bytes or text such as '5 GB'")
    return round(float(match[1]) * _UNITS[match[2].lower()])


def _title(value: str) -> str:
    """An application entity title: 1 to 16 printable characters, no backslash, not only spaces."""
    text = value.strip(" ")
    good = text.isascii() and text.isprintable() and "\\" not in text
    if not good or not 1 <= len(text) <= _TITLE_LENGTH:
        raise ValueError("need 1 to 16 printable ASCII characters without a backslash")
    return text


def _named(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError("need 1 to 64 letters, digits, points, hyphens or underscores")
    return value


Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, le=366 * DAY_S)]
Title = Annotated[str, BeforeValidator(lambda v: _title(v) if isinstance(v, str) else v)]
Name = Annotated[str, BeforeValidator(lambda v: _named(v) if isinstance(v, str) else v)]
Port = Annotated[int, Field(ge=0, le=65535)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Tls(_Part):
    """Files of TLS, for listening and for destinations with ``tls = true``.

    Attributes:
        certificate: PEM file of this node's certificate.
        key: PEM file of its private key.
        authority: PEM file of the certificates that must have signed those of peers.
    """

    certificate: Path
    key: Path
    authority: Path


class Caller(_Part):
    """Who may send to the node: a title, and the networks that it may come from."""

    ae_title: Title
    addresses: tuple[str, ...]

    @field_validator("addresses")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            ipaddress.ip_network(each, strict=False)
        return value

    def is_at(self, address: str) -> bool:
        """Whether it may come from this address."""
        peer: Any = ipaddress.ip_address(address)
        if peer.version == 6 and peer.ipv4_mapped is not None:  # as IPv6 sockets show it
            peer = peer.ipv4_mapped
        return any(peer in ipaddress.ip_network(n, strict=False) for n in self.addresses)


class Destination(_Part):
    """Where results are sent: a DICOM peer (``dimse``) or a DICOMweb server (``web``).

    Attributes:
        tls: Of a DICOM peer: use ``[node.tls]``. A server of the web says https in its URL.
        headers_file: Of a server: lines such as ``Authorization: Bearer ...``.
    """

    name: Name
    kind: Literal["dimse", "web"]
    ae_title: Title | None = None
    host: str | None = None
    port: Port | None = None
    tls: bool = False
    url: str | None = None
    headers_file: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Destination":
        need = ("ae_title", "host", "port") if self.kind == "dimse" else ("url",)
        other = ("url", "headers_file") if self.kind == "dimse" else ("ae_title", "host", "port")
        missing = [name for name in need if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a destination of kind {self.kind} needs {', '.join(missing)}")
        unread = [name for name in other if getattr(self, name) is not None]
        if unread:
            raise ValueError(f"a destination of kind {self.kind} does not read {unread[0]}")
        if self.url is not None:
            _require_url(self.url)
        return self


class Pull(_Part):
    """A DICOMweb server that studies are fetched from.

    Attributes:
        every_s: How often it is asked; 0 asks never, for ``count_from`` alone.
        days: Studies of how many days are asked for, today being one.
    """

    name: Name
    url: str
    every_s: Seconds = 60.0
    days: Annotated[int, Field(ge=1, le=36_500)] = 2
    headers_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        _require_url(value)
        return value


class NodeSettings(_Part):
    """All of ``[node]``; see docs/node.md for every key."""

    folder: Path
    ae_title: Title = "FOURVIEW"
    listen: str = "127.0.0.1:11112"
    allow_plain: bool = False
    tls: Tls | None = None
    accept: tuple[Accept, ...] = ("MG",)
    max_associations: Annotated[int, Field(ge=1, le=100)] = 8
    least_free: Bytes = 5 * GIGABYTE
    largest: Bytes = 512 * MEGABYTE
    quiet_s: Seconds = 60.0
    early_s: Seconds = 10.0
    longest_s: Seconds = 900.0
    count_from: Name | None = None
    models: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    objects: tuple[Kind, ...] = ("cad-sr", "gsps", "sc")
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    read_s: Annotated[float, Field(gt=0, le=DAY_S)] = 600.0
    give_up_s: Seconds = DAY_S
    alarm_s: Seconds = 3600.0
    keep_days: Annotated[float, Field(ge=0, le=36_500)] = 1.0
    keep_results_days: Annotated[float, Field(ge=0, le=36_500)] = 30.0
    callers: tuple[Caller, ...] = ()
    destinations: tuple[Destination, ...] = ()
    pulls: tuple[Pull, ...] = ()

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port to listen on; None where ``listen`` is empty."""
        if not self.listen:
            return None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    def destination(self, name: str) -> Destination:
        """The destination of a name.

        Raises:
            NodeSettingsError: There is none; the message has the nearest.
        """
        for each in self.destinations:
            if each.name == name:
                return each
        raise NodeSettingsError(no_such("destination", name, [d.name for d in self.destinations]))

    @field_validator("objects", "accept")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("need at least one")
        return value

    @field_validator("listen")
    @classmethod
    def _place(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if value and (not colon or not host or not port.isdigit() or int(port) > 65535):
            raise ValueError('need ADDRESS:PORT such as "127.0.0.1:11112", or "" not to listen')
        if value:
            ipaddress.ip_address(host.strip("[]"))
        return value

    @model_validator(mode="after")
    def _agree(self) -> "NodeSettings":
        for what, named in (("destinations", self.destinations), ("pulls", self.pulls)):
            names = [each.name for each in named]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"two {what} have the name {twice}")
        if self.count_from is not None and self.count_from not in [p.name for p in self.pulls]:
            raise ValueError(no_such("pull", self.count_from, [p.name for p in self.pulls]))
        if any(each.tls for each in self.destinations) and self.tls is None:
            raise ValueError("a destination has tls = true, which needs [node.tls]")
        at = self.address
        is_open = at is not None and not ipaddress.ip_address(at[0]).is_loopback
        if is_open and self.tls is None and not self.allow_plain:
            raise ValueError(
                f"listen = {self.listen!r}: others on the network could read what is sent; add "
                "[node.tls], or allow_plain = true where the network is trusted"
            )
        return self


def read_settings(path: Path) -> NodeSettings:
    """Read and check the settings of a node.

    Raises:
        NodeSettingsError: No TOML, an unknown key, or a value that cannot be used; one line.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NodeSettingsError(f"{path}: no TOML ({error})") from error
    if set(data) != {"node"} or not isinstance(data.get("node"), dict):
        other = next((name for name in data if name != "node"), None)
        missing = "there is no [node]" if other is None else no_such("table", other, ["node"])
        raise NodeSettingsError(f"{path}: {missing}; see docs/node.md")
    try:
        settings = NodeSettings.model_validate(data["node"])
    except ValidationError as error:
        raise NodeSettingsError(f"{path}: {_told(error)}") from error
    return _with_paths(settings, path.absolute().parent)


def _with_paths(settings: NodeSettings, base: Path) -> NodeSettings:
    """The same settings with every path absolute, also those of models."""
    tls = settings.tls
    changed: dict[str, Any] = {
        "folder": base / settings.folder,
        "models": tuple(str(base / model) for model in settings.models),
        "destinations": tuple(_with_file(each, base) for each in settings.destinations),
        "pulls": tuple(_with_file(each, base) for each in settings.pulls),
    }
    if tls is not None:
        files = {name: base / getattr(tls, name) for name in ("certificate", "key", "authority")}
        changed["tls"] = tls.model_copy(update=files)
        for name, file in files.items():
            if not file.is_file():
                raise NodeSettingsError(f"node.tls.{name}: {file}: not found")
    return settings.model_copy(update=changed)


def _with_file(part: Any, base: Path) -> Any:
    if part.headers_file is None:
        return part
    file = base / part.headers_file
    if not file.is_file():
        raise NodeSettingsError(f"{part.name}: headers_file {file}: not found")
    return part.model_copy(update={"headers_file": file})


def _require_url(value: str) -> None:
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value):
        raise ValueError(
            "need a URL such as http://127.0.0.1:8042/dicom-web; passwords stand in headers_file"
        )


_PARTS: dict[str, type[BaseModel]] = {
    "tls": Tls,
    "callers": Caller,
    "destinations": Destination,
    "pulls": Pull,
}


def _told(error: ValidationError) -> str:
    """The first mistake as one sentence, an unknown key with the nearest name."""
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    place = [str(part) for part in first["loc"]]
    where = ".".join(["node", *place])
    if first["type"] == "extra_forbidden":
        model = next((_PARTS[part] for part in place[:-1] if part in _PARTS), NodeSettings)
        return f"{'.'.join(['node', *place[:-1]])}: " + no_such(
            "key", place[-1], sorted(model.model_fields)
        )
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"

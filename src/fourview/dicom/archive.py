"""ZIP archives of exams, unpacked into a folder that is gone when they are read.

Safe:    names that lead out of the folder, links and devices are left out; what is unpacked is
         capped in number, size and ratio by what comes out, not by what the archive claims.
"""

import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fourview.entities import LeftOut
from fourview.entities.reasons import Reason
from fourview.errors import HostileFileError, NotDicomError
from fourview.text import shown

MAX_FILES = 20_000  # in one archive; an exam with tomosynthesis slices has some thousand
MAX_BYTES = 16 << 30  # unpacked
MAX_RATIO = 200  # unpacked to packed, of archives above FREE_BYTES; raw mammograms reach some 20
FREE_BYTES = 256 << 20  # unpacked bytes that any archive may have, whatever its ratio
STRIP = 1 << 20  # bytes at a time
_MARKS = (b"PK\3\4", b"PK\5\6")  # of the first member; of an archive without any


@dataclass(frozen=True, slots=True)
class Root:
    """What is read in place of a path that somebody named.

    Attributes:
        path: The path itself, or the folder that an archive was unpacked to.
        archive: The archive that was unpacked; None where there was none.
        left_out: Members of the archive that were not unpacked, by the names that they have there.
    """

    path: Path
    archive: Path | None = None
    left_out: tuple[LeftOut, ...] = ()

    def shown(self, name: str) -> str:
        """A file below ``path`` as the person who named the archive would."""
        return name if self.archive is None else f"{self.archive.name}/{name}"


def is_zip(path: Path) -> bool:
    """Whether a file begins as a ZIP archive."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) in _MARKS
    except (OSError, ValueError):
        return False


@contextmanager
def unpacked(paths: Iterable[Path]) -> Iterator[list[Root]]:
    """The paths, with archives among them unpacked into folders that are removed at the end.

    Raises:
        NotDicomError: An archive is damaged, or needs a password.
        HostileFileError: It holds more than any exam does.
    """
    with ExitStack() as stack:
        roots = []
        for path in paths:
            if not is_zip(path):
                roots.append(Root(path))
                continue
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fourview-zip-"))
            roots.append(Root(Path(folder), path, tuple(_unpack(path, Path(folder)))))
        yield roots


def _unpack(path: Path, folder: Path) -> Iterator[LeftOut]:
    """Unpack an archive; yields the members that are left out, with reasons."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > MAX_FILES:
                raise HostileFileError(
                    f"{path}: the archive has {len(members):,} files, more than {MAX_FILES:,}; "
                    "unpack it yourself and name the folder"
                )
            budget = _Budget(path, path.stat().st_size)
            for member in members:
                trouble = _trouble(member)
                if trouble is not None:
                    where = f"{path.name}/{shown(member.filename, 100)}"
                    yield LeftOut(path=where, reason=Reason.UNREACHABLE, detail=trouble)
                    continue
                target = folder.joinpath(*PurePosixPath(member.filename).parts)
                _write(archive, member, target, budget)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise NotDicomError(
            f"{path}: the ZIP archive cannot be read ({shown(error, 80)}); fetch it again"
        ) from error
    except RuntimeError as error:  # what zipfile raises for a password
        raise NotDicomError(
            f"{path}: the ZIP archive needs a password; unpack it and name the folder"
        ) from error


class _Budget:
    """Bytes that may still come out of an archive."""

    def __init__(self, path: Path, packed: int) -> None:
        self.path = path
        self.most = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * packed))
        self.used = 0

    def take(self, count: int) -> None:
        self.used += count
        if self.used > self.most:
            raise HostileFileError(
                f"{self.path}: the archive unpacks to more than {self.most >> 20:,} MB; refused"
            )


def _trouble(member: zipfile.ZipInfo) -> str | None:
    """Why a member is not unpacked; None where it is."""
    parts = PurePosixPath(member.filename.replace("\\", "/"))
    has_drive = len(member.filename) > 1 and member.filename[1] == ":"
    if parts.is_absolute() or ".." in parts.parts or has_drive or not parts.parts:
        return "its name leads out of the archive's folder; refused"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "it is a link or a device, no file; refused"
    if any(len(part.encode("utf-8", "replace")) > 250 for part in parts.parts):
        return "its name is longer than a file's can be"
    if "\0" in member.filename:
        return "its name has a zero in it; refused"
    return None


def _write(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, budget: _Budget
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # two members of one name
        target = target.with_name(f"{target.name}.{member.header_offset}")
    with archive.open(member) as packed, target.open("wb") as out:
        while strip := packed.read(STRIP):
            budget.take(len(strip))
            out.write(strip)

"""Every command that writes, on a disk that is full or read-only: one line, exit 3, and it goes on.

    python -m benchmarks.disks [COMMAND ...] [--free KB ...]

Needs root, for a disk of its own (tmpfs). Each command runs with a few amounts of room that are too
little; then there is room, and the same command must end well. Read-only, it must end with 3 too.
"""

import argparse
import contextlib
import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fourview.cli.main import main as fourview

SIZE_MB = 256
FREE_KB = (0, 8, 200)


@contextlib.contextmanager
def disk(where: Path) -> Iterator[Path]:
    """A disk in memory."""
    where.mkdir(parents=True, exist_ok=True)
    options = f"size={SIZE_MB}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


def fill(where: Path, free_kb: int) -> Path:
    """A file that leaves so much room."""
    filler = where / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    size = filler.stat().st_size - (free_kb << 10)
    with filler.open("r+b") as file:
        file.truncate(max(size, 0))
    return filler


def call(arguments: list[str]) -> tuple[object, str]:
    """Exit code of a command and its last line of errors; an exception that escapes is its code."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            fourview(arguments)
    except SystemExit as end:
        return end.code, (said.getvalue().strip().splitlines() or [""])[-1]
    except BaseException as error:  # noqa: BLE001 - this is what is looked for
        return f"{type(error).__name__}: {error}"[:200], said.getvalue()
    return 0, said.getvalue()


def made(root: Path) -> dict[str, list[str]]:
    """Inputs on a good disk, and the commands by name; OUT is where each writes."""
    phantom, manifest, store = root / "phantom", root / "manifest", root / "store"
    run, scores = root / "run", root / "p.parquet"
    spec = "mvccl-192x96"
    preset = ["--preset", "miniature", "--rows", "256", "--workers", "1"]
    steps = (
        ["phantom", str(phantom), "--exams", "12", *preset],
        [
            "index",
            str(phantom),
            "--source",
            "phantom",
            "-o",
            str(manifest),
            "--split",
            "0.5,0.25,0.25",
        ],
        ["prepare", str(manifest), "--spec", spec, "-o", str(store), "--workers", "1"],
    )
    data = ["--manifest", str(manifest), "--store", str(store)]
    train = [
        "train",
        "mvccl:mini",
        *data,
        "--set",
        "epochs=1",
        "--set",
        "batch=4",
        "--set",
        "pixel_spec=mvccl-192x96",
    ]
    for step in (*steps, [*train, "-o", str(run)]):
        code, said = call(step)
        if code != 0:
            raise SystemExit(f"{' '.join(step)}: {code} {said}")
    shutil.copy(run / "predictions.parquet", scores)
    words, views = root / "words", root / "views"
    said = ["--manifest", str(manifest), "--store", str(views)]
    exam = next((phantom / "dicom").iterdir())
    for step in (
        ["prepare", str(manifest), "--spec", "glam-96x48", "-o", str(views), "--workers", "1"],
        ["train", "clip:phantom", *said, "--set", "epochs=1", "--set", "batch=2", "-o", str(words)],
        ["read", str(exam), "-o", str(root / "read")],
    ):
        code, last = call(step)
        if code != 0:
            raise SystemExit(f"{' '.join(step)}: {code} {last}")
    protocol = ["--manifest", str(manifest), "--protocol", "screening-breast-v1"]
    return {
        "phantom": ["phantom", "OUT", "--exams", "2", *preset],
        "index": ["index", str(phantom / "dicom"), "--source", "dicom", "-o", "OUT",
                  "--workers", "1"],
        "prepare": ["prepare", str(manifest), "--spec", spec, "-o", "OUT", "--workers", "1"],
        "train": [*train, "-o", "OUT"],
        "crossval": ["crossval", "mvccl:mini", *data, "--folds", "2", "--set", "epochs=1",
                     "--set", "batch=4", "-o", "OUT"],
        "predict": ["predict", str(run), *data, "-o", "OUT/p.parquet"],
        "evaluate": ["evaluate", str(scores), *protocol, "-o", "OUT"],
        "compare": ["compare", str(scores), str(scores), *protocol],
        "reproduce": ["reproduce", "mvccl-table3", "--manifest", str(manifest), "--row",
                      f"BRAIxMVCCL single={scores}", "-o", "OUT"],
        "read": ["read", str(exam), "-o", "OUT"],
        "export": ["export", str(run), "-o", "OUT"],
        "embed": ["embed", str(words), *said, "-o", "OUT/e.parquet"],
        "demo": ["demo", "--exams", "2", "--workers", "1", "-o", "OUT"],
        "dicom": ["dicom", str(root / "read" / "result.json"), str(exam), "-o", "OUT"],
        "check": ["check", str(manifest), "--contact-sheet", "OUT/sheet.png"],
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*")
    parser.add_argument("--free", type=int, nargs="*", default=FREE_KB)
    asked = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        commands = made(Path(folder))
        for name, command in commands.items():
            if asked.commands and name not in asked.commands:
                continue
            for free in asked.free:
                bad += not _survives(name, command, Path(folder) / "disk", free)
            bad += not _is_told_read_only(name, command, Path(folder) / "disk")
    print(f"{bad} of them bad" if bad else "all of them good")
    return 1 if bad else 0


def _survives(name: str, command: list[str], where: Path, free: int) -> bool:
    with disk(where):
        arguments = [part.replace("OUT", str(where / "out")) for part in command]
        filler, started = fill(where, free), time.monotonic()
        first, said = call(arguments)
        filler.unlink()
        more = ["--resume"] if name == "train" and (where / "out" / "log.jsonl").exists() else []
        second, then = (0, "") if first == 0 else call([*arguments, *more])
        good = first in (0, 3) and second == 0 and (first == 0 or said.startswith("error: "))
        took = time.monotonic() - started
        print(f"{'ok ' if good else 'BAD'} {name}, {free} KB: {first} {said}", flush=True)
        print(f"      with room: {second} {then[-200:]} ({took:.0f} s)", flush=True)
    return good


def _is_told_read_only(name: str, command: list[str], where: Path) -> bool:
    with disk(where):
        subprocess.run(["mount", "-o", "remount,ro", str(where)], check=True)
        code, said = call([part.replace("OUT", str(where / "out")) for part in command])
    good = (code == 3 and said.startswith("error: ")) or "OUT" not in " ".join(command)
    print(f"{'ok ' if good else 'BAD'} {name}, read-only: {code} {said}", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())

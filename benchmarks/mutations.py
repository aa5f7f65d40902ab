"""3,000 damaged files of every transfer syntax: what reading them costs, and that it survives.

    python -m benchmarks.mutations [--seed N] [--files N] [--first N] [--keep FOLDER]

A file is read (samples or an error by name) or the script fails. What ended or outlived the process
that decodes is counted: without such a process it had ended the program.
"""

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fourview.dicom.header import read_header
from fourview.dicom.image import read_image
from fourview.errors import DicomError
from mutated_frames import mutated_files

SECONDS = 40.0  # no file may take longer, on a machine that does other work too
EVERY = 250  # files, after which the counts so far are shown
ENDED = ("ended its process", "took longer", "MB of memory")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first file that is read"
    )
    parser.add_argument("--keep", type=Path, help="folder for the files that end a decoder")
    asked = parser.parse_args()
    words: collections.Counter[str] = collections.Counter()
    slowest, slow_name, total = 0.0, "", time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, data) in enumerate(mutated_files(asked.files, asked.seed)):
            if number < asked.first:
                continue
            path = Path(folder) / name
            path.write_bytes(data)
            started = time.perf_counter()
            try:
                read_header(path)
                read_image(path, at_least=(10, 10) if number % 3 == 0 else None)
                word = "read"
            except DicomError as error:
                word = type(error).__name__
                if any(w in str(error) for w in ENDED):
                    word = "ended: " + str(error).partition(": ")[2].partition(";")[0][:90]
                    print(name, word, flush=True)
                    if asked.keep is not None:
                        asked.keep.mkdir(parents=True, exist_ok=True)
                        (asked.keep / name).write_bytes(data)
            took = time.perf_counter() - started
            if took > slowest:
                slowest, slow_name = took, name
            words[word] += 1
            path.unlink()
            if (number + 1) % EVERY == 0:
                print(f"files to {number}: {dict(words)}", flush=True)
    seconds = time.perf_counter() - total
    print(f"{sum(words.values()):,} files in {seconds:.0f} s; this program is alive")
    for word, count in sorted(words.items()):
        print(f"{count:6} {word}")
    print(f"slowest: {slowest:.2f} s ({slow_name})")
    return 1 if slowest > SECONDS else 0


if __name__ == "__main__":
    sys.exit(main())

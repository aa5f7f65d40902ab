"""`fourview index` over made-up headers: files a second, and the memory it takes as they grow.

Run:     python benchmarks/index.py [--files N N]; needs 5 KB of disk a file in the temporary
         folder. Each size is indexed by the command itself, with two workers; the memory of all its
         processes is read twenty times a second.
Files:   100 elements each with two code sequences and no pixels; every id is another.
Memory:  proportional set size: what processes share is counted once.
Plain:   pydicom, `stop_before_pixels`, one process, the same attributes.
Must:    1,000 files a second on two cores; 500 MB in all; less than 1 MB more for 10,000 files
         more. Sizes below the 16,384 rows that are sorted at a time would show more.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import psutil
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

SIZES = (20_000, 100_000)
PLAIN_FILES = 1_000
A_FOLDER = 400  # files
LEAST_RATE, MOST_MB, MOST_SLOPE_MB = 1000.0, 500.0, 1.0
ROOT = "1.2.826.0.1.3680043.10.999"
IMAGE, STUDY, PATIENT = f"{ROOT}.3.900000001", f"{ROOT}.1.900000001", "P900000001"
MG = "1.2.840.10008.5.1.4.1.1.1.2"
EVERY_S = 0.05  # memory is read
LEFT = b"\x20\x00\x62\x00CS\x02\x00L "  # Image Laterality, explicit little endian
PRIVATE = 60  # elements that no reader wants, such as vendors write


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def template() -> bytes:
    """One file; its ids are replaced by others of the same length."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MG, IMAGE
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, f"{ROOT}.2.1"
    dataset.PatientID, dataset.PatientAge, dataset.PatientSex = PATIENT, "054Y", "F"
    dataset.Modality, dataset.PresentationIntentType = "MG", "FOR PRESENTATION"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.StudyDate = dataset.AcquisitionDate = "20200102"
    dataset.AcquisitionTime = "101112"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Maker", "Model"
    dataset.SeriesDescription, dataset.BodyPartExamined = "L CC", "BREAST"
    dataset.ImagerPixelSpacing = [0.07, 0.07]
    dataset.ImageLaterality, dataset.ViewPosition = "L", "CC"
    dataset.PatientOrientation = ["A", "R"]
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "MONOCHROME2", 1
    dataset.Rows, dataset.Columns = 3328, 2560
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.KVP, dataset.BodyPartThickness, dataset.CompressionForce = "28", "55", "100"
    dataset.ViewCodeSequence = Sequence([_code("399162004", "cranio-caudal")])
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([])
    dataset.AnatomicRegionSequence = Sequence([_code("76752008", "Breast")])
    block = dataset.private_block(0x0019, "Maker", create=True)
    for number in range(PRIVATE):
        block.add_new(number, "LO", f"a private value, number {number}")
    dataset.PixelData = b"\0" * 16
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MG
    dataset.file_meta.MediaStorageSOPInstanceUID = IMAGE
    out = BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def write_files(root: Path, count: int) -> None:
    """``count`` files, four an exam, two exams a patient."""
    data = template()
    for number in range(count):
        folder = root / f"{number // A_FOLDER:05d}"
        if number % A_FOLDER == 0:
            folder.mkdir(parents=True)
        ids = ((IMAGE, number), (STUDY, number // 4), (PATIENT, number // 8))
        file = data
        for old, new in ids:
            file = file.replace(old.encode(), f"{old[:-8]}{new:08d}".encode())
        if number % 2:
            file = file.replace(LEFT, LEFT.replace(b"L ", b"R "))
        (folder / f"{number:08d}.dcm").write_bytes(file)


def measured(root: Path, out: Path, workers: int) -> dict[str, float]:
    """Seconds of the command, and the most megabytes that its processes had at one time."""
    fourview = Path(sys.executable).with_name("fourview")
    command = [str(fourview), "index", str(root), "--source", "dicom"]
    command += ["-o", str(out), "--workers", str(workers), "--json"]
    start, most = time.perf_counter(), 0.0
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while child.poll() is None:
        most = max(most, megabytes(psutil.Process(child.pid)))
        time.sleep(EVERY_S)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {child.returncode}")
    return {"s": time.perf_counter() - start, "mb": most}


def megabytes(process: psutil.Process) -> float:
    """Of a process and all below it; one that ends while it is looked at counts nothing."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += each.memory_full_info().pss / 1e6
    return total


def pydicom_rate(root: Path) -> float:
    """Files a second of the plain way."""
    paths = sorted(root.rglob("*.dcm"))[:PLAIN_FILES]
    start = time.perf_counter()
    for path in paths:
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        for keyword in ("PatientID", "SOPInstanceUID", "ImageLaterality", "ViewPosition", "Rows"):
            dataset.get(keyword)
    return len(paths) / (time.perf_counter() - start)


def run(sizes: tuple[int, ...] = SIZES) -> list[dict[str, object]]:
    """Rates as seconds for 1,000 files; memory as megabytes."""
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            root = Path(folder) / str(size)
            write_files(root, size)
            runs.append(measured(root, Path(folder) / f"m{size}", 2))
            line = ", ".join(f"{key} {value:.1f}" for key, value in runs[-1].items())
            print(f"{size:,} files: {line}; {size / runs[-1]['s']:.0f} files/s")
        one = measured(Path(folder) / str(sizes[0]), Path(folder) / "one", 1)
        rate = pydicom_rate(Path(folder) / str(sizes[0]))
    last, more = runs[-1], (sizes[-1] - sizes[0]) / 10_000
    slope = (last["mb"] - runs[0]["mb"]) / more
    print(f"one worker: {sizes[0] / one['s']:.0f} files/s; pydicom, one process: {rate:.0f}")
    print(f"MB for 10,000 files more: {slope:.2f}")
    ours, limit, slope = last["s"] / sizes[-1] * 1e3, 1e3 / LEAST_RATE, max(slope, 0.01)
    return [
        {"name": "1,000 headers of 100 elements, two workers, against pydicom (s)"}
        | {"ours": ours, "plain": 1e3 / rate, "ratio": 1e3 / rate / ours, "floor": 1.5},
        {"name": "1,000 headers within the limit (s)"}
        | {"ours": ours, "plain": limit, "ratio": limit / ours, "floor": 1.0},
        {"name": "peak memory of all processes within the limit (MB)"}
        | {"ours": last["mb"], "plain": MOST_MB, "ratio": MOST_MB / last["mb"], "floor": 1.0},
        {"name": "memory for 10,000 files more, within the limit (MB)"}
        | {"ours": slope, "plain": MOST_SLOPE_MB, "ratio": MOST_SLOPE_MB / slope, "floor": 1.0},
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, nargs=2, default=SIZES, metavar="N")
    for result in run(tuple(parser.parse_args().files)):
        print(
            ", ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{v}" for k, v in result.items())
        )

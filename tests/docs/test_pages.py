"""Every block of README, tour and guides runs as it is printed, on small phantoms.

A page is run from its first block to its last in a folder that holds what its words stand for:
STUDY is an exam, M a manifest, S its store, RUN a run. Sizes alone are changed (``SMALL``).
"""

import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file

import nyu_formulas
import printed
from fourview.evaluate.table import write_predictions
from fourview.manifest.manifest import (
    images_to_read,
    manifest_hash,
    read_manifest,
    write_manifest,
)
from fourview.models.find import find_family
from fourview.models.screen_ensemble.model import ScreenConfig
from printed import Block, blocks
from study_examples import ScriptedReader

SMALL = {
    r"--exams \d+": "--exams 12",
    r"--rows \d+": "--rows 192",
    r" --set epochs=\d+": "",
    r"(fourview train (?!lesion).*)": r"\1 --set epochs=1 --set batch=2 --workers 0",
    r"(fourview train probe.*)": r"\1 --set precision=float32",  # slow without units for the other
    r"(fourview predict (?!.*--prompts).*)": r"\1 --exact",
    r"(fourview (?:evaluate|compare|reproduce) .*)": r"\1 --replicates 50",
    r"fourview demo": "fourview demo --exams 2 --workers 1",
    "make demo": "fourview demo --exams 2 --workers 1 -o demo",
}
HELD_ELSEWHERE = {
    "docs/api.md": "tests/architecture/test_api.py",
    "docs/adding_a_data_set.md": "tests/sources/test_guide.py",
    "docs/adding_a_metric.md": "tests/evaluate/test_metrics.py",
    "docs/adding_a_model.md": "tests/architecture/test_guide.py",
    "docs/install.md": "tests/docs/test_install.py",
    "docs/gpu.md": "tests/train/test_processes.py",
    "docs/language_image.md": "tests/end_to_end/test_language_page.py",
    "docs/studies.md": "tests/study/test_study.py",
    "docs/weights.md": "tests/nn/test_weights_page.py",
}
NO_PROGRAM = {  # first line of a block that nobody runs: why
    "files --dicom--> Image, Exam --preprocess--> ProcessedImage --store--> (disk, by fingerprint)":
        "the way of an exam",
    "cli | api > (serve) | (node) > study > recipes > train > predict > report > evaluate > checkpoint":  # noqa: E501 - as it stands on the page
        "the layers, held by import-linter",
    "pip install 'fourview[pacs]'": "a node listens until it is ended: tests/node",
    "receiving --association closed--> waiting --due--> reading --> done | ignored (no mammogram) "
    "| failed": "states of a study",
    "[Service]": "a unit of systemd",
    "cmmd/CMMD_clinicaldata_revision.xlsx          vindr/breast-level_annotations.csv":
        "trees of files",
    "models/NAME/__init__.py    FAMILY = ModelFamily(...)": "a folder's files",
}  # fmt: skip
NOT_HERE = ("make test",)  # runs these tests


@pytest.fixture
def folder(prepared, tmp_path, monkeypatch) -> Path:
    """What the words of a page stand for, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, target in {
        "M": "manifest",
        "S": "store",
        "STUDY": "phantom/dicom/phantom-1-000000",
        "ROOT": "phantom/dicom",
        "run": "run",
        "test.parquet": "test.parquet",
        "validation.parquet": "validation.parquet",
    }.items():
        (tmp_path / name).symlink_to(prepared / target)
    (tmp_path / "M").unlink()
    shutil.copytree(prepared / "manifest", tmp_path / "M")  # a page may write to it
    return tmp_path


def run_page(page: str, capfd, small=SMALL) -> dict[str, str]:
    """Run all blocks of a page in its order; what each command printed."""
    told = {}
    names = {"__name__": "printed_page"}
    for block in blocks(page):
        if block.first in NO_PROGRAM:
            continue
        if block.language == "python":
            exec(compile(block.text, f"{page}:{block.line}", "exec"), names)
        elif block.language == "toml":
            Path("study.toml").write_text(block.text)
        elif block.text.startswith("patient_id,"):
            Path("table.csv").write_text(block.text)
        else:
            commands = block.commands()
            assert commands or block.text.startswith("--set"), f"{page}:{block.line}: no command"
            for command in commands:
                if not command.startswith(NOT_HERE):
                    told[command] = printed.run(command, small=small, capfd=capfd)
    return told


def test_the_readme_runs_as_it_is_printed(prepared, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(prepared / "phantom", "exams")  # `phantom` finds what it would make
    run_page("README.md", capfd)
    for page in ("demo/reports/index.html", "report/report.html", "result/report.html"):
        assert Path(page).exists()
    assert Path("table/table.html").exists()
    assert list(Path("report/dicom").glob("*.dcm"))


def test_the_tour_runs_as_it_is_printed(prepared, tmp_path, monkeypatch, capfd, real_exams):
    assert real_exams.exists()
    monkeypatch.chdir(tmp_path)
    shutil.copytree(prepared / "phantom", "tour/phantom")
    told = run_page("docs/tour.md", capfd)
    shown = {c.split()[1]: said for c, said in told.items() if c.startswith("fourview")}
    assert "AUC-ROC" in shown["evaluate"]
    assert len(list(Path("tour").glob("*/report.html"))) >= 3  # result, and a folder a reading
    made = [out for c in told for out in re.findall(r"-o (\S+)", c)]
    assert len(made) == len(set(made)), "two commands write to one place"


def test_the_page_on_choosing_runs_as_it_is_printed(prepared, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(prepared / "phantom", "exams")
    told = run_page("docs/which.md", capfd)
    assert Path("result/report.html").exists() and Path("zero.parquet").exists()
    assert any("gmic-1" in said for said in told.values())
    table = next(b for b in blocks("docs/which.md") if b.text.startswith("patient_id"))
    assert len(read_manifest(Path("own")).images) == len(table.text.splitlines()) - 1


@pytest.mark.usefixtures("folder")
def test_the_page_on_dicom_output_runs_as_it_is_printed(capfd):
    run_page("docs/dicom_output.md", capfd)
    assert Path("FOLDER/cad-sr.dcm").exists()


@pytest.mark.usefixtures("folder")
def test_the_page_on_pages_runs_as_it_is_printed(capfd):
    run_page("docs/report.md", capfd)
    for page in ("OUT/report.html", "files.html", "store.html", "scores.html", "statistics.html"):
        assert Path(page).exists()


@pytest.mark.usefixtures("folder")
def test_the_page_on_privacy_runs_as_it_is_printed(capfd):
    run_page("docs/privacy.md", capfd)
    assert "phantom-1-" not in Path("OUT/result.json").read_text()


@pytest.mark.usefixtures("folder")
def test_the_page_on_protocols_runs_as_it_is_printed(prepared, capfd):
    for name in ("a", "gmic"):
        Path(f"{name}.parquet").symlink_to(prepared / "test.parquet")
    manifest = read_manifest(prepared / "manifest")
    other = pl.read_parquet("test.parquet").with_columns(pl.col("score") ** 2)
    about = {"manifest_hash": manifest_hash(manifest)}
    write_predictions(other, "b.parquet", about)
    rng = np.random.default_rng(0)
    keys = ("patient_id", "exam_id", "side", "image_id")
    findings = manifest.findings.select(
        *keys, "finding_id", unit=pl.lit("finding"), score=rng.random(len(manifest.findings))
    )
    write_predictions(findings, "findings.parquet", about)
    images = images_to_read(manifest).select(*keys, unit=pl.lit("image"))
    classes = pl.DataFrame({"class": list("ABCD")})
    table = images.join(classes, how="cross")
    write_predictions(table.with_columns(score=rng.random(len(table))), "density.parquet", about)
    run_page("docs/protocols.md", capfd)
    assert Path("result/report.html").exists() and Path("table/table.html").exists()


@pytest.mark.usefixtures("folder")
def test_the_page_on_the_reading_room_runs_as_it_is_printed(prepared, capfd, monkeypatch):
    Path("manifest").symlink_to(prepared / "manifest")
    for name in ("scores", "P"):
        Path(f"{name}.parquet").symlink_to(prepared / "test.parquet")
    printed.run("fourview read STUDY -o REPORTS --exact", small={}, capfd=capfd)
    page = "docs/reading_room.md"
    plan = next(b for b in blocks(page) if b.language == "toml")
    Path("study.toml").write_text(plan.text)
    monkeypatch.setattr(printed, "WHILE_SERVED", answer_one_exam)
    told = run_page(page, capfd)
    assert len(told) == 4
    assert list(Path("tables").glob("predictions-R1-*.parquet"))


def answer_one_exam(url: str, words: list[str]) -> None:
    """As Reader One of the study that the page prints."""
    if "--study" in words:
        reader = ScriptedReader(url, "R1", token=url.partition("token=")[2])
        answers = {"recall": {"R": True, "L": False}, "suspicion": {"R": 7, "L": 3}, "marks": []}
        status, told = reader.send(reader.next()["exam"], answers)
        assert status == 200, told


@pytest.mark.slow
def test_the_page_on_data_sets_runs_as_it_is_printed(prepared, tmp_path, monkeypatch, capfd):
    """With the mini sibling of the published recipe; phantoms stand for somebody's table."""
    monkeypatch.chdir(tmp_path)
    manifest = read_manifest(prepared / "manifest")
    labels = manifest.breasts.select("exam_id", "side", "cancer", "benign")
    table = images_to_read(manifest).join(labels, on=["exam_id", "side"])
    table = table.with_columns(path=pl.lit(f"{manifest.root}/") + pl.col("path"))
    columns = ("patient_id", "exam_id", "image_id", "side", "view", "path", "cancer", "benign")
    table.select(columns).write_csv("my_table.csv")
    for name in ("store", "other_store"):
        Path(name).symlink_to(prepared / "store")
    write_manifest(of_other_people(manifest), "other")
    small = {"gmic:published_1": "gmic:mini", "0.8,0.1,0.1": "0.4,0.3,0.3"}
    told = run_page("docs/data_sets.md", capfd, small | SMALL)
    assert len(told) == 3


def of_other_people(manifest):
    """The same images, as if another hospital had them: a run may be trained further on them."""
    renamed = {
        name: getattr(manifest, name).with_columns(patient_id=pl.format("other-{}", "patient_id"))
        for name in ("images", "breasts", "exams", "findings")
    }
    return replace(manifest, **renamed)


@pytest.mark.usefixtures("folder")
@pytest.mark.slow
def test_the_page_on_published_weights_runs_as_it_is_printed(capfd):
    write_mammoscreen("model.safetensors")
    write_published("sample_model_1.p", nyu_formulas.gmic_shapes())
    write_published("views.p", nyu_formulas.dmv_shapes(channels=3))
    torchvision = pytest.importorskip("torchvision")
    write_state("patches.p", torchvision.models.densenet121(num_classes=4).state_dict())
    told = run_page("docs/published_weights.md", capfd)
    assert any("AGPL-3.0" in said for said in told.values())


@pytest.mark.usefixtures("folder")
@pytest.mark.slow
def test_the_page_on_lesions_runs_as_it_is_printed(prepared, capfd):
    """With the small sibling of each published recipe, whose networks a processor can train."""
    manifest = read_manifest(prepared / "manifest")
    named = manifest.findings.filter(pl.col("exam_id").str.ends_with("000000"))
    named.select("image_id", "finding_id", "x0", "y0", "x1", "y1").write_csv("named.csv")
    write_published("sample_model_1.p", nyu_formulas.gmic_shapes())
    for name in ("S", "run"):  # this page has its own
        Path(name).unlink()
    printed.run("fourview prepare M --spec mvccl-384x192 -o S", small={}, capfd=capfd)
    small = "--set epochs=1 --set batch=4 --set pixel_spec=mvccl-384x192"
    printed.run(
        f"fourview train gmic:small --manifest M --store S -o made {small}", small={}, capfd=capfd
    )
    run_page("docs/lesions.md", capfd, SMALL | LESIONS)
    assert Path("out/report.html").exists()


LESIONS = {
    "lesion:paper_patch": "lesion:small_lite_patch",
    "lesion:paper ": "lesion:small_lite ",
    r"(fourview train lesion.*)": r"\1 --set epochs=1 --workers 0",
    r"-o run +# GMIC.*": "-o run --context made",
    "--context gmic-1": "--context made",
    "--trials 10": "--trials 2",
}


def write_mammoscreen(name: str) -> None:
    """Random weights of its three networks, under the published names."""
    state = {}
    for number in range(3):
        torch.manual_seed(number)
        own = find_family("screen_ensemble").build(ScreenConfig()).state_dict()
        state |= {f"net{number}.{key}": value for key, value in own.items()}
    save_file(state, name)


def write_published(name: str, shapes) -> None:
    state = nyu_formulas.filled(shapes)
    write_state(name, {key: torch.from_numpy(value.copy()) for key, value in state.items()})


def write_state(name: str, state) -> None:
    torch.save(state, name, _use_new_zipfile_serialization=False)


def all_blocks() -> list[Block]:
    return [block for page in printed.PAGES for block in blocks(page)]


def test_every_block_of_the_guides_is_run_or_is_no_program():
    tests = Path(__file__).read_text(encoding="utf-8")
    for block in all_blocks():
        page = block.page
        guide = page == "README.md" or (page.startswith("docs/") and page.count("/") == 1)
        if not guide or block.first in NO_PROGRAM:
            continue
        assert page in HELD_ELSEWHERE or f'"{page}"' in tests, f"{page}:{block.line} is not run"
    for page, test in HELD_ELSEWHERE.items():
        assert Path(page).name in (printed.ROOT / test).read_text(encoding="utf-8")


PLACEHOLDERS = {  # for parsing only
    "EXAMS": "1", "SEED": "1", "...": "A",
}  # fmt: skip


def all_commands() -> list[tuple[str, str]]:
    """Each command that is printed anywhere, in a block or in a sentence, with its place."""
    commands = [(f"{b.page}:{b.line}", c) for b in all_blocks() for c in b.commands()]
    return [(at, c) for at, c in commands if c.startswith("fourview ")]


def test_every_printed_command_is_one_that_the_command_line_takes():
    for at, command in all_commands():
        words = [PLACEHOLDERS.get(word, word) for word in printed.words_of(command)]
        if "--module" in words or "$(" in command:
            continue  # run where its module is, or a shell is
        try:
            printed.parse(words[1:])
        except Exception as error:  # noqa: BLE001 - whatever it is, the page is wrong
            pytest.fail(f"{at}: {command}\n{error}")


def test_recipes_sources_specs_and_protocols_that_pages_name_exist():
    known = printed.known_names()
    for at, command in all_commands():
        words = printed.words_of(command)
        if "--module" in words:
            continue
        for option, names in known.items():
            for before, word in pairwise(words):
                if before == option:
                    assert word in names, f"{at}: {option} {word}"

"""What docs/install.md, Dockerfile and metadata say, as far as it can be seen without a network."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

import fourview
import printed
from fourview.run_files import packaged_names

needs_checkout = pytest.mark.skipif(
    not (printed.ROOT / "pyproject.toml").exists(), reason="needs a checkout, not a wheel"
)
pytestmark = needs_checkout
PAGE = "docs/install.md"
HOSTS = (
    r"(?:pypi|files\.pythonhosted|download\.pytorch|npmjs|conda|docker|ghcr|quay)\.(?:org|io|com)"
)


def text(name):
    return (printed.ROOT / name).read_text(encoding="utf-8")


def project():
    return tomllib.loads(text("pyproject.toml"))["project"]


def test_extras_that_the_page_names_are_those_of_the_package():
    extras = set(project()["optional-dependencies"])
    shown = set(re.findall(r"\.\[(\w+)\]", text(PAGE)))
    assert shown == extras & shown and {"serve", "language", "cluster"} <= shown


@pytest.mark.parametrize("name", [PAGE, "Makefile", "Dockerfile", "README.md", "CONTRIBUTING.md"])
def test_no_registry_is_named(name):
    assert re.search(HOSTS, text(name)) is None


def test_switches_of_uv_that_are_printed_exist():
    uv = shutil.which("uv", path=printed.environment()["PATH"])
    if uv is None:
        pytest.skip("uv is not installed here")
    told = subprocess.run(
        [uv, "pip", "install", "--help"], capture_output=True, text=True, check=True
    )
    for switch in ("--torch-backend", "--compile-bytecode", "--no-verify-hashes", "--group"):
        assert switch in told.stdout, switch
    assert "UV_TORCH_BACKEND" in told.stdout and re.search(r"\bcpu\b", told.stdout)


def test_the_demo_needs_no_test_tools():
    rule = text("Makefile").partition(".ready_to_read: ")[2].partition("\n\n")[0]
    assert "-e '.[serve]'" in rule and "dev" not in rule and " -q" not in rule


def test_the_container_runs_for_a_user_without_rights_and_copies_what_there_is():
    lines = text("Dockerfile").splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001"]
    assert lines.index("USER 10001") < next(
        i for i, line in enumerate(lines) if line.startswith("ENTRYPOINT")
    )
    let_in = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (printed.ROOT / name).exists() and name in let_in, name


def test_the_citation_has_the_version_and_licence_of_the_package():
    cited = dict(re.findall(r"^([\w-]+): (.+)$", text("CITATION.cff"), re.MULTILINE))
    assert cited["version"] == fourview.__version__
    assert cited["license"] == project()["license"]


def test_the_wheel_says_what_it_is_and_holds_what_it_reads(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=printed.ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "unpacked")
    assert wheel.stat().st_size < 6 << 20  # the page says 4 MB
    assert {"fourview/cli/lists.json", "fourview/py.typed"} <= names
    for model in packaged_names():
        assert any(name.endswith(f"{model}/model.safetensors") for name in names), model
    (about,) = (tmp_path / "unpacked").glob("*.dist-info")
    metadata = importlib.metadata.PathDistribution(about).metadata
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "mammography" in metadata["Keywords"]

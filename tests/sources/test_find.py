"""Sources are found by their file name, and every one says where it stands on terms and labels."""

import pytest

from fourview.errors import ManifestError
from fourview.sources.find import find_source, source_names, sources

PUBLISHED = [
    "cbis_ddsm",
    "cdd_cesm",
    "cmmd",
    "csv",
    "embed",
    "inbreast",
    "mias",
    "nyu",
    "rsna",
    "vindr",
]


def test_every_published_set_is_found():
    assert set(PUBLISHED) <= set(source_names())
    assert not any(name.startswith("_") or name == "find" for name in source_names())


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_empty_folder_is_refused_with_what_is_missing(name, tmp_path):
    with pytest.raises(ManifestError, match=str(tmp_path)):
        find_source(name)(tmp_path)


def test_all_sources_can_be_loaded():
    assert list(sources()) == list(source_names())


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(ManifestError, match=r"no source 'vinder'; did you mean 'vindr'\?"):
        find_source("vinder")

"""A module's test has its name and stands in its folder; what stands elsewhere is listed.

``preprocess/window.py`` is tested in ``tests/preprocess/test_window.py``; a family of ``models`` in
the folder of its name; a private part in the test of its folder that has its name.
"""

from pathlib import Path

import pytest

import fourview

SOURCE = Path(fourview.__file__).parent
TESTS = Path(__file__).parents[1]

OF_ALL = {  # folders whose modules are alike and are tested by one test for all of them
    "models": "a folder of tests for each family",
    "recipes": "study/test_find_recipe.py, study/test_plan.py, train/test_published_settings.py",
    "cli": "commands are run as people run them: cli, docs, end_to_end, and their folders' tests",
    "sources/_": "parts of the readers, which are tested whole",
}
DECLARED = {  # constants, types and names, without anything that could go wrong by itself
    *(
        "api",
        "errors",
        "contract/dissection",
        "contract/family",
        "contract/language",
        "contract/output",
    ),
    *("contract/contrastive", "dicom/codes", "dicom/tags", "dicom/words", "evaluate/protocol"),
    *("evaluate/protocols_clsdet", "nn/published_names", "node/job", "report/dicom/codes"),
    "study/declaration",
}
IN_THE_TEST_OF = {  # parts of a whole, by the test that holds the whole
    "contract/test_one_door.py": "predict/network predict/run feeds/kinds/exams feeds/pixels",
    "captions/test_caption.py": "captions/prompts",
    "checkpoint/test_card.py": "checkpoint/plan",
    "dicom/test_apart.py": "dicom/apart_main",
    "dicom/test_codecs.py": "dicom/codestream dicom/markers dicom/frames",
    "dicom/test_hostile.py": "dicom/elements dicom/part10 dicom/start dicom/second",
    "dicom/test_image.py": "dicom/modality dicom/stored dicom/voi",
    "entities/test_labels.py": "entities/tables entities/results",
    "evaluate/test_coverage.py": "compiled",
    "evaluate/test_metrics.py": "report/result_files",
    "evaluate/test_own_labels.py": "evaluate/labels",
    "evaluate/test_run.py": "evaluate/marks",
    "evaluate/test_worst.py": "report/result_charts report/result_html",
    "feeds/kinds/test_patches.py": "feeds/feed feeds/coded feeds/window_sources predict/frozen",
    "field_cases/test_ids.py": "dicom/archive dicom/identity",
    "field_cases/test_odd_files.py": "dicom/header",
    "field_cases/test_views_and_kinds.py": "dicom/orientation dicom/view_words",
    "manifest/test_check.py": "report/manifest_page",
    "models/mvccl/test_dissect.py": "predict/dissect study/dissect",
    "models/gmic/test_gmic.py": "nn/regions nn/resnet_v1 nn/resnet22",
    "models/mama/test_mama.py": "nn/two_tower",
    "models/screen_ensemble/test_screen_ensemble.py": "checkpoint/ensemble",
    "nn/test_memory.py": "predict/engine",
    "nn/test_vgg_m.py": "nn/region_encoder",
    "node/test_journal.py": "node/rows node/tables node/watching",
    "node/test_node.py": "node/pull node/receive node/run node/secure node/send_dimse node/spool"
    " node/status node/work node/worker",
    "phantom/test_exam.py": "phantom/truth",
    "phantom/test_render.py": "phantom/draw",
    "phantom/test_film.py": "phantom/film_draws phantom/film_things",
    "phantom/test_tissue.py": "phantom/anatomy phantom/strands",
    "phantom/test_to_dicom.py": "phantom/encode",
    "phantom/test_view.py": "phantom/outline phantom/pectoral",
    "phantom/test_write.py": "phantom/tables",
    "predict/test_language.py": "predict/embeddings",
    "predict/test_reader.py": "predict/seen",
    "preprocess/test_film_outline.py": "preprocess/film_fan",
    "preprocess/test_pipeline.py": "preprocess/spec",
    "privacy/test_privacy.py": "dicom/pseudonyms",
    "report/dicom/test_inputs.py": "report/dicom/options report/dicom/result_file"
    " report/dicom/source report/dicom/write",
    "report/dicom/test_places.py": "report/dicom/document report/dicom/heatmap_seg"
    " report/dicom/measurements_sr report/dicom/subject report/dicom/tree",
    "report/dicom/test_validators.py": "report/dicom/capture",
    "report/test_exam_html.py": "entities/exam report/display report/exam_parts report/page",
    "docs/test_notebooks.py": "entities/looks",
    "serve/test_maps.py": "serve/extras serve/model_worker",
    "serve/test_opening.py": "serve/run",
    "serve/test_study_room.py": "serve/study_routes",
    "serve/test_annotations.py": "serve/wire",
    "serve/test_tables.py": "serve/pixels",
    "serve/test_worklist.py": "serve/cohort serve/predictions",
    "store/test_prepare.py": "store/journal",
    "store/test_store.py": "store/check store/shard",
    "study/test_lesion_chain.py": "study/chain",
    "study/test_reproduce.py": "evaluate/published report/table_files report/table_html"
    " report/table_published study/fold_results",
    "study/test_start.py": "train/begin",
    "study/test_study_parts.py": "study/study_data study/study_measures study/study_runs"
    " study/study_words",
    "study/test_watch.py": "report/run_page study/run_pages train/measure train/trackers",
    "test_outside.py": "jobs/workers",
    "train/test_run.py": "train/parts train/run_folder",
}
LISTED = {module: test for test, modules in IN_THE_TEST_OF.items() for module in modules.split()}
MOST_LISTED = 115  # may only become fewer


def modules() -> list[str]:
    """All modules, as their paths without the ending."""
    paths = (path.relative_to(SOURCE).with_suffix("") for path in SOURCE.rglob("*.py"))
    return sorted(p.as_posix() for p in paths if not p.name.startswith("__"))


def has_own_test(module: str) -> bool:
    """Whether a test of the module's name stands in its folder, or in a folder of it."""
    folder, _, _ = module.rpartition("/")
    name = f"test_{Path(module).name.lstrip('_')}.py"
    return any((TESTS / folder.split("/")[0]).rglob(name)) if folder else (TESTS / name).exists()


def test_a_module_has_a_test_of_its_name_or_is_listed():
    alone = [
        module
        for module in modules()
        if not has_own_test(module) and not module.startswith(tuple(OF_ALL))
    ]
    missing = set(alone) - DECLARED - set(LISTED)
    assert not missing, f"write tests/FOLDER/test_NAME.py for {', '.join(sorted(missing))}"
    settled = (DECLARED | set(LISTED)) - set(alone)
    assert not settled, f"take {', '.join(sorted(settled))} from the lists: they have a test"


def test_the_list_becomes_no_longer_and_names_what_is_there():
    assert len(LISTED) <= MOST_LISTED
    for test in IN_THE_TEST_OF:
        assert (TESTS / test).is_file(), test


@pytest.mark.parametrize(
    "family", sorted(p.name for p in (SOURCE / "models").iterdir() if p.is_dir())
)
def test_a_family_has_a_folder_of_tests_or_is_a_baseline_of_another(family):
    if family in ("mm_mil", "single_view", "__pycache__"):  # of mama's parts, and of mvccl's
        return
    assert list((TESTS / "models" / family).glob("test_*.py")), family

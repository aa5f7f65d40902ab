"""Networks at work for the room: what the worker answers, and that its death is told."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from fourview import outside
from fourview.checkpoint.card import save_checkpoint
from fourview.dicom.image import read_image
from fourview.errors import CheckpointError, FourviewError, ServeError
from fourview.models.find import find_family
from fourview.predict.language import load_language_model
from fourview.predict.reader import load_model
from fourview.preprocess.pipeline import process
from fourview.preprocess.spec import pixel_spec
from fourview.run_files import DEFAULT_MODEL
from fourview.serve import model_worker
from fourview.serve.extras import Extras
from fourview.serve.maps import Ask, BusyError, Networks, _Waiting
from fourview.serve.opening import What, open_extras
from fourview.serve.wire import Say
from room_examples import decoded

SPEC = pixel_spec("mvccl-192x96")


def checkpoint(folder, name, **changes):
    family = find_family(name)
    config = replace(family.tiny_config, **changes)
    torch.manual_seed(0)
    save_checkpoint(
        folder, family.build(config), recipe=f"{name}:tiny", family=name, config=config, spec=SPEC
    )
    return folder


@pytest.fixture(scope="module")
def room(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("room")
    what = What(exams=[phantom / "dicom"], annotations=folder / "a.sqlite")
    return open_extras(what, cache_gb=0.25)


class InThisProcess(Networks):
    """The worker's function, called here: what it answers without what carries it."""

    def _ask(self, ask, timeout_s):  # noqa: ARG002 (nothing waits)
        return model_worker.answer(ask)


def with_networks(room, **runs) -> Extras:
    return Extras(
        room.room,
        room.protocol,
        InThisProcess(runs.get("model"), runs.get("maps")),
        room.annotations,
    )


def first_exam(extras):
    row = extras.room.worklist.frame.row(0, named=True)
    return extras.room.exam_key((row["patient_id"], row["exam_id"]))


def test_a_model_reads_the_exam_that_is_open(room, phantom):
    extras = with_networks(room, model=DEFAULT_MODEL)
    told = extras.predict_json(first_exam(extras))
    folder = sorted((phantom / "dicom").iterdir())[0]
    import fourview  # noqa: PLC0415 (beside what it is compared with)

    want = load_model().predict(fourview.read_exam(folder))
    scores = {b["side"]: b["score"] for b in told["prediction"]["breasts"]}
    assert scores == {b.side: b.score for b in want.breasts}
    assert len(told["heatmaps"]) == sum(len(i.heatmaps) for i in want.images) > 0


def test_a_sentence_gives_a_map_of_every_view(room, tmp_path):
    extras = with_networks(room, maps=checkpoint(tmp_path, "mama"))
    told = extras.say_json(first_exam(extras), Say(sentence=" a  mass\n is seen "))
    assert {h["class"] for h in told["heatmaps"]} == {"a mass is seen"}
    assert len(told["heatmaps"]) == 4
    with pytest.raises(CheckpointError, match="compares no views"):
        extras.agreement_json(first_exam(extras), "R")


def test_agreement_is_what_the_network_gives_for_the_two_views(room, phantom, tmp_path):
    run = checkpoint(tmp_path, "glam", super_patches=(12, 6))
    extras = with_networks(room, maps=run)
    told = extras.agreement_json(first_exam(extras), "L")
    folder = sorted((phantom / "dicom").iterdir())[0]
    model = load_language_model(run)
    views = [process(read_image(folder / f"L-{p}.dcm"), SPEC) for p in ("CC", "MLO")]
    with torch.inference_mode():
        cosines, rows = model.model.patch_to_slice(
            *(torch.from_numpy(v.pixels.astype(np.float32))[None, None] for v in views)
        )
    assert np.allclose(decoded(told["cosines"]), cosines[0].numpy().ravel(), atol=1e-6)
    assert np.allclose(decoded(told["attention"]), rows[0].numpy().ravel(), atol=1e-6)
    corner = np.array(told["MLO"]["matrix"]).reshape(2, 3) @ [
        *views[1].geometry.to_stored(np.array([96.0, 192.0])),
        1.0,
    ]
    assert corner == pytest.approx([told["MLO"]["cols"], told["MLO"]["rows"]])
    with pytest.raises(CheckpointError, match="looks for no sentences"):
        extras.say_json(first_exam(extras), Say(sentence="a mass"))


def test_without_a_run_the_reason_is_one_line(room):
    key = first_exam(room)
    for ask in (
        lambda: room.predict_json(key),
        lambda: room.say_json(key, Say(sentence="a")),
        lambda: room.agreement_json(key, "R"),
    ):
        with pytest.raises(ServeError, match="start with --m"):
            ask()


def test_one_sentence_at_a_time():
    networks = Networks(None, maps=Path("run"))
    waiting = Ask(what="say", run="run", files=(), sentence="first")
    networks._current[waiting.key] = _Waiting(waiting)
    with pytest.raises(BusyError, match="another sentence"):
        networks.say((), "second")


def test_the_worker_knows_modules_outside_of_the_package(tmp_path, monkeypatch):
    text = (
        "from dataclasses import replace\nfrom fourview.models.find import find_family\n"
        "FAMILIES = [replace(find_family('single_view'), name='valley')]\n"
    )
    (tmp_path / "valley_families.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(outside, "_used", [])
    outside.use_module("valley_families")
    networks = Networks(str(checkpoint(tmp_path / "run", "valley")), None)
    with pytest.raises(FourviewError, match="no image of the exam can be read"):  # the run was
        networks.predict((("nothing.dcm", None),))


def test_a_worker_that_dies_leaves_the_room_standing(tmp_path):
    networks = Networks(str(tmp_path / "no_run"), None)
    with pytest.raises(FourviewError, match="no_run"):
        networks.predict((("nothing.dcm", None),))
    killed = children(os.getpid())
    for child in killed:
        child.kill()
    psutil.wait_procs(killed)
    with pytest.raises(FourviewError):  # a new worker says the same
        networks.predict((("other.dcm", None),))


def children(parent):
    """Worker processes of ours: children of the server that forks them."""
    processes = psutil.Process(parent).children(recursive=True)
    return [p for p in processes if p.ppid() != parent and "forkserver" in " ".join(p.cmdline())]

"""``fourview serve``: the reading room, in a browser."""

import sys
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fourview.cli.modules import Modules, use_modules
from fourview.cli.say import say
from fourview.cli.unused import refuse_unused
from fourview.errors import FourviewError


def serve(
    exams: list[Path] | None = None,
    /,
    *,
    manifest: Path | None = None,
    predictions: list[Path] | None = None,
    results: list[Path] | None = None,
    node: Path | None = None,
    protocol: str = "screening-breast-v1",
    thresholds: Path | None = None,
    model: Path | None = None,
    maps: Path | None = None,
    annotations: Path = Path("annotations.sqlite"),
    study: Path | None = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    anyway: bool = False,
    host: str = "127.0.0.1",
    port: int = 0,
    open: bool = False,  # noqa: A002 (the option's name)
    cache: float = 4.0,
    certificate: Path | None = None,
    key: Path | None = None,
    token_file: Path | None = None,
    module: Modules = (),
) -> None:
    """Look at exams in a browser, pixel for pixel: research use only, not a diagnostic display.

    Args:
        exams: DICOM files or folders to look at.
        manifest: Folder written by ``fourview index``, to look at its exams instead.
        predictions: Predictions table of the manifest; a second one is shown beside it.
        results: Folder of ``fourview read -o``, with heatmaps and regions; may be repeated.
        node: Spool of ``fourview node``, to look at what it has read.
        protocol: Says what a label is and when a region is a hit, as in ``fourview evaluate``.
        thresholds: operating_points.json of another table, for the list's outcomes.
        model: Run that reads each exam when it is opened, or the name of one that ships with the
            package: single_view-located, mvccl-small.
        maps: Run of MaMA, to ask where a sentence is, or of GLAM, to ask what a CC patch agrees
            with in the MLO.
        annotations: File that keeps what is marked; made with the first mark.
        study: Plan of a reader study (study.toml); readers open the same URL.
        out: Folder of the study's readings; an interrupted study goes on there.
        anyway: Show predictions that were made from another manifest too, with a banner.
        host: Address to listen on; another than this machine's own needs the three files below.
        port: 0 takes a free one.
        open: Open the browser too.
        cache: Gigabytes of images that are kept in memory.
        certificate: PEM file of a TLS certificate.
        key: PEM file of its private key.
        token_file: File with the token that the URL holds; without it one is drawn.
        module: Your own module with families, recipes, sources, ...; may be repeated.
    """
    use_modules(module)
    for name in ("starlette", "uvicorn"):
        if find_spec(name) is None:
            raise FourviewError(
                f"the reading room needs the package {name}; run: pip install 'fourview[serve]'"
            )
    from fourview.serve.app import Threads, routes_of
    from fourview.serve.opening import GIGABYTE, What, open_extras
    from fourview.serve.run import Place
    from fourview.serve.run import serve as run_server
    from fourview.serve.study_room import StudyRoom
    from fourview.serve.study_routes import study_routes

    place = Place(host=host, port=port, certificate=certificate, key=key, token=token_file)
    what = What(
        exams=exams or (),
        manifest=manifest,
        node=node,
        predictions=predictions or (),
        results=results or (),
        protocol=protocol,
        thresholds=thresholds,
        anyway=anyway,
        model=model,
        maps=maps,
        annotations=annotations,
    )
    threads = Threads()
    if study is None:
        if out is not None:
            raise FourviewError("--out is for the readings of a --study")
        if not predictions:
            refuse_unused(serve, needs="--predictions", anyway=anyway)
        routes = routes_of(open_extras(what, cache_gb=cache), threads)
    else:
        if out is None or exams or manifest or node or predictions or results or model or maps:
            raise FourviewError(
                "--study needs --out and nothing else: study.toml names exams and predictions"
            )
        others = {"protocol": protocol, "thresholds": thresholds, "annotations": annotations}
        refuse_unused(serve, needs="exams to look at (without --study)", **others)
        cache_bytes = round(cache * GIGABYTE)
        room = StudyRoom(study, out, cache_bytes=cache_bytes, anyway=anyway)
        routes = study_routes(room, threads)

    def opened(url: str) -> None:
        say(url)
        say("Ctrl-C ends. Research use only; not a diagnostic display.", to=sys.stderr)
        if open:
            webbrowser.open(url)

    run_server(routes, place, opened=opened)

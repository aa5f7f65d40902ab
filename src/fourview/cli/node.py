"""``fourview node`` and the commands beside it: a PACS sends studies, results come back."""

import json as jsonlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fourview.cli.say import say
from fourview.errors import NodeError
from fourview.node.settings import read_settings
from fourview.outside import use_module

if TYPE_CHECKING:
    from fourview.node.status import Status

FAILED = 1


def node(settings: Path, /, *, once: bool = False) -> None:
    """Receive or fetch studies, read them, send the results back; until Ctrl-C or SIGTERM.

    Research use only: for test benches and research archives. Events go to standard error, one
    line each, and to audit.jsonl in the node's folder, without a name, id or UID.

    Args:
        settings: A file such as node.toml; docs/node.md has every key.
        once: Do not listen: do what is waiting, then end.
    """
    from fourview.node.run import run_node

    read = read_settings(settings)
    for name in read.modules:
        use_module(name)
    run_node(read, once=once)


def node_status(settings: Path, /, *, json: bool = False) -> int:
    """Show studies by state, what waits and since when, what failed, and the room on the disk.

    Exits with 1 where something failed, waits longer than alarm_s, or the disk is nearly full.

    Args:
        settings: The node's file; the node may run or not.
        json: Print as JSON.
    """
    from fourview.node.status import status_of

    status = status_of(read_settings(settings))
    if json:
        print(jsonlib.dumps(status.as_json()))
    else:
        _show(status)
    return FAILED if status.alarms else 0


def node_retry(settings: Path, study: str | None = None, /, *, failed: bool = False) -> None:
    """Put a study that failed or was ignored, or results that could not be sent, back to the queue.

    Args:
        settings: The node's file.
        study: Study Instance UID, as node-status shows it.
        failed: All that failed, instead of one study.
    """
    from fourview.node.journal import Journal

    if (study is None) == (not failed):
        raise NodeError("name a study, or --failed for all that failed")
    number = Journal(read_settings(settings).folder, create=False).retry(study)
    say(f"{number} put back to the queue")


def node_drop(settings: Path, study: str, /) -> None:
    """Forget a study with its images, results and deliveries, at once.

    What was sent stays where it was sent. A study that is sent again later is read anew.

    Args:
        settings: The node's file.
        study: Study Instance UID, as node-status shows it.
    """
    from fourview.node.journal import Journal
    from fourview.node.rows import place_of
    from fourview.node.spool import IN, OUT

    folder = read_settings(settings).folder
    Journal(folder, create=False).drop(study)
    for part in (IN, OUT):
        shutil.rmtree(folder / part / place_of(study), ignore_errors=True)
    say(f"study {study} dropped")


def send(
    files: list[Path],
    /,
    *,
    to: str,
    config: Path,
    json: bool = False,
) -> int:
    """Send DICOM files that exist, such as results, to a destination of a node's file.

    Exits with 1 where a file was not sent.

    Args:
        files: Files, or folders of them.
        to: Name of the destination.
        config: The node's file.
        json: Print the outcome of each file as JSON.
    """
    from fourview.node.deliver import sender_of

    settings = read_settings(config)
    destination = settings.destination(to)
    paths = [file for each in files for file in _files(each)]
    if not paths:
        raise NodeError("no files there to send")
    answers = sender_of(destination, settings)(paths)
    if json:
        rows = [
            {"file": str(f), "outcome": s.outcome, "status": s.status, "detail": s.detail}
            for f, s in answers.items()
        ]
        print(jsonlib.dumps(rows))
    else:
        for file, sent in answers.items():
            text = " ".join(part for part in (sent.outcome, sent.status, sent.detail) if part)
            say(f"{file}: {text}")
    return FAILED if any(sent.outcome != "sent" for sent in answers.values()) else 0


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.rglob("*.dcm") if p.is_file())
    if not path.exists():
        raise NodeError(f"{path}: not found")
    return [path]


def _show(status: "Status") -> None:
    is_running = "not running" if status.pid is None else f"runs (pid {status.pid})"
    say(f"node         {is_running}")
    for name, counts in (("studies", status.studies), ("deliveries", status.deliveries)):
        words = ", ".join(f"{number} {state}" for state, number in counts.items()) or "none"
        say(f"{name:<12} {words}")
    age = "nothing waits" if status.oldest_s is None else f"{status.oldest_s:.0f} s"
    say(f"waits since  {age}")
    say(f"free disk    {status.free_bytes / 1e9:.1f} GB")
    if status.last_trouble:
        say(f"last trouble {status.last_trouble}")
    for each in status.failures:
        say(f"failed       {each['study']} ({each['what']}): {each['why']}")
    for alarm in status.alarms:
        say(f"alarm: {alarm}", to=sys.stderr)

"""``fourview``: the commands, and what every command does with errors.

Results go to standard output, progress and errors to standard error. Exit codes: 0 ok, 1 a check
failed, 2 usage, 3 bad data, 130 interrupted.
"""

import errno
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from fourview import __version__
from fourview.disk import is_full
from fourview.errors import FourviewError, NodeSettingsError
from fourview.text import printable

OK, FAILED, USAGE, BAD_DATA, INTERRUPTED = 0, 1, 2, 3, 130

app = App(
    name="fourview",
    help="Deep learning on mammograms, from raw DICOM to a report. Research use only.",
    version=__version__,
    help_format="plaintext",  # of this list; markdown costs a quarter of the time it may take
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # main says what to do then
    default_parameter=Parameter(negative=""),  # switches are off unless named: no --no-json
)
COMMANDS = {  # imported when called, so that `index` never waits for torch
    "demo": "Phantom exams through the whole chain; ends with reports.",
    "phantom": "Make exams with perfect truth, as DICOM.",
    "index": "Turn a data set into a manifest.",
    "check": "Check a manifest.",
    "look": "Look at what models see: a page of images, labels and scores.",
    "prepare": "Turn a manifest's pixels into a store.",
    "train": "Train a recipe.",
    "crossval": "Train a recipe fold by fold, and measure it on every patient.",
    "study": "Run a declared study: train, compare, judge, write one page.",
    "convert": "Turn published weights of others into a checkpoint.",
    "export": "Copy weights to pass on, where the terms of their data allow it.",
    "predict": "Score the exams of a manifest.",
    "embed": "Features of images and captions by a language-image run.",
    "search": "Rank images by how well a text describes them.",
    "evaluate": "Measure predictions by a named protocol.",
    "compare": "Compare two predictions tables on the same exams.",
    "dissect": "What a trained model uses: one thing taken away at a time.",
    "reproduce": "Measure rows of a published table, ours beside the paper's.",
    "read": "Read exams: DICOM in, report out.",
    "dicom": "Write a prediction as standard DICOM, for archives and viewers.",
    "node": "Receive studies from a PACS, read them, send the results back.",
    "node-status": "Show what a node has done and what it waits for.",
    "node-retry": "Put studies or results that failed back to a node's queue.",
    "node-drop": "Have a node forget a study with its files.",
    "send": "Send DICOM files to a PACS.",
    "serve": "Look at exams in a browser, pixel for pixel.",
    "study-export": "Readings of a reader study as predictions tables.",
    "list": "Show the sources, specs, families, recipes, protocols and tables there are.",
    "doctor": "Show what this machine has and how fast it decodes.",
}
_FUNCTIONS = {
    "list": "fourview.cli.list_command:list_",
    "study-export": "fourview.cli.study_export:study_export",
    "node-status": "fourview.cli.node:node_status",
    "node-retry": "fourview.cli.node:node_retry",
    "node-drop": "fourview.cli.node:node_drop",
    "send": "fourview.cli.node:send",
}
for _name, _help in COMMANDS.items():
    _at = _FUNCTIONS.get(_name, f"fourview.cli.{_name}:{_name}")
    app.command(_at, name=_name, help=_help, help_format="markdown")


NO_ROOM = (
    "no space left on the disk; free some and run the same command again, it goes on where it was"
)
_IN_THE_WAY = {
    NotADirectoryError: "a file where a folder is needed",
    FileExistsError: "a file where a folder is needed",
    IsADirectoryError: "a folder where a file is needed",
    PermissionError: "not allowed to read or write here",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    try:
        code = app(
            list(arguments) if arguments is not None else None,
            exit_on_error=False,
            print_error=False,
        )
        sys.stdout.flush()  # a full disk behind `> file` is told here
    except CycloptsError as error:
        command = next((c for c in arguments or sys.argv[1:] if c in COMMANDS), "")
        _say(f"{error}; see: fourview {command + ' ' if command else ''}--help")
        sys.exit(USAGE)
    except FourviewError as error:
        _say(str(error))
        sys.exit(USAGE if isinstance(error, NodeSettingsError) else BAD_DATA)
    except FileNotFoundError as error:
        _say(f"{error.filename}: not found")
        sys.exit(BAD_DATA)
    except (NotADirectoryError, IsADirectoryError, FileExistsError, PermissionError) as error:
        _say(f"{error.filename2 or error.filename}: {_IN_THE_WAY[type(error)]}")
        sys.exit(BAD_DATA)
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on where it stopped (train: with --resume)")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `fourview list | head`
        sys.exit(OK)
    except OSError as error:
        _say(_about_disk(error))
        sys.exit(BAD_DATA)
    except Exception as error:
        if not is_full(error):  # as polars and safetensors tell it
            raise
        _say(NO_ROOM)
        sys.exit(BAD_DATA)
    sys.exit(code if isinstance(code, int) else OK)


def _about_disk(error: OSError) -> str:
    """What the system could not do, with the folder and what to do."""
    if is_full(error):
        return NO_ROOM
    where = f"{error.filename}: " if error.filename else ""
    what = (error.strerror or str(error)).lower()
    todo = "name a folder that can be written" if error.errno == errno.EROFS else "see to that"
    return f"{where}{what}; {todo} and run the same command again"


def _say(text: str) -> None:
    print(f"error: {printable(text)}", file=sys.stderr)

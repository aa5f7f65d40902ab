"""``fourview``: the commands, and what every command does with errors.

Results go to standard output, progress and errors to standard error. Exit codes: 0 ok, 1 a check
failed, 2 usage, 3 bad data, 130 interrupted.
"""

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from fourview import __version__
from fourview.errors import FourviewError

OK, FAILED, USAGE, BAD_DATA, INTERRUPTED = 0, 1, 2, 3, 130

app = App(
    name="fourview",
    help="Deep learning on mammograms, from raw DICOM to a report. Research use only.",
    version=__version__,
    result_action="return_value",
)
COMMANDS = (  # name, module; loaded when called, so that `index` never imports torch
    ("demo", "demo"),
    ("phantom", "phantom"),
    ("index", "index"),
    ("check", "check"),
    ("prepare", "prepare"),
    ("train", "train"),
    ("predict", "predict"),
    ("evaluate", "evaluate"),
    ("compare", "compare"),
    ("read", "read"),
    ("list", "list_command"),
    ("doctor", "doctor"),
)
for _name, _module in COMMANDS:
    _function = "list_" if _name == "list" else _name
    app.command(f"fourview.cli.{_module}:{_function}", name=_name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    try:
        code = app(
            list(arguments) if arguments is not None else None,
            exit_on_error=False,
            print_error=False,
        )
    except CycloptsError as error:
        _say(f"{error}; see: fourview --help")
        sys.exit(USAGE)
    except FourviewError as error:
        _say(str(error))
        sys.exit(BAD_DATA)
    except FileNotFoundError as error:
        _say(f"{error.filename}: not found")
        sys.exit(BAD_DATA)
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on where it stopped")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `fourview list | head`
        sys.exit(OK)
    sys.exit(code if isinstance(code, int) else OK)


def _say(text: str) -> None:
    print(f"error: {' '.join(text.split())}", file=sys.stderr)

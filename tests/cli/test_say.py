"""A line for people stays one printable line, whatever a file says."""

import io

from fourview.cli.say import say


def test_a_line_break_of_a_header_makes_no_second_line(capsys):
    say("patient 'A\nerror: forged\x1b[31m'")
    told = capsys.readouterr().out
    assert told.count("\n") == 1 and "\x1b" not in told


def test_any_stream_of_text_takes_it():
    stream = io.StringIO()
    say("one", to=stream)
    assert stream.getvalue() == "one\n"

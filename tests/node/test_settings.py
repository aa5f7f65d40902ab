"""node.toml: every mistake is one line before anything listens."""

import pytest

from fourview.errors import NodeSettingsError
from fourview.node.settings import Caller, read_settings

WHOLE = """
[node]
folder = "spool"
ae_title = "FOURVIEW"
listen = "127.0.0.1:11112"
quiet_s = 60
accept = ["MG"]
models = ["run-a"]
objects = ["cad-sr", "gsps", "sc"]
workers = 1
least_free = "5 GB"
[[node.callers]]
ae_title = "PACS"
addresses = ["127.0.0.1/32"]
[[node.destinations]]
name = "archive"
kind = "dimse"
ae_title = "PACS"
host = "127.0.0.1"
port = 4242
[[node.pulls]]
name = "web"
url = "http://127.0.0.1:8042/dicom-web"
every_s = 60
days = 2
"""


def read(tmp_path, text):
    path = tmp_path / "node.toml"
    path.write_text(text)
    return read_settings(path)


def test_paths_are_below_the_folder_of_the_file_and_the_rest_has_defaults(tmp_path):
    settings = read(tmp_path, WHOLE)
    assert settings.folder == tmp_path / "spool"
    assert settings.models == (str(tmp_path / "run-a"),)
    assert (settings.least_free, settings.largest) == (5_000_000_000, 512_000_000)
    assert (settings.early_s, settings.longest_s, settings.read_s) == (10, 900, 600)
    assert settings.address == ("127.0.0.1", 11112)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("quiet_s", "quit_s"), "no key 'quit_s'; did you mean 'quiet_s'?"),
        (('host = "', 'hots = "'), "no key 'hots'; did you mean 'host'?"),
        (("every_s", "evry_s"), "did you mean 'every_s'?"),
        (("[[node.callers]]", "[[node.caller]]"), "did you mean 'callers'?"),
        (("[node]", "[knode]"), "no table 'knode'; did you mean 'node'?"),
        (('"FOURVIEW"', '"FOUR\\\\VIEW"'), "without a backslash"),
        (('"FOURVIEW"', '"A-TITLE-OF-17-LET"'), "1 to 16"),
        (('"MG"', '"CT"'), "accept.0"),
        (("127.0.0.1:11112", "0.0.0.0:11112"), "allow_plain"),
        (("127.0.0.1:11112", "11112"), "need ADDRESS:PORT"),
        (('kind = "dimse"', 'kind = "web"'), "needs url"),
        (("127.0.0.1/32", "127.0.0.1/99"), "callers.0.addresses"),
        (('"5 GB"', '"5 gallons"'), "such as '5 GB'"),
        (("workers = 1", "workers = 0"), "greater than or equal to 1"),
        (("workers = 1", 'count_from = "wob"'), "no pull 'wob'; did you mean 'web'?"),
        (("http://127", "ftp://127"), "need a URL"),
        (("http://127", "http://user:secret@127"), "headers_file"),
        (("port = 4242", "port = 4242\ntls = true"), "[node.tls]"),
        (("quiet_s = 60", "quiet_s = -1"), "quiet_s"),
        (("quiet_s = 60", "quiet_s = nan"), "quiet_s"),
        (("quiet_s = 60", "quiet_s ="), "no TOML"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(tmp_path, change, told):
    text = WHOLE.replace(*change, 1)
    assert text != WHOLE
    with pytest.raises(NodeSettingsError) as error:
        read(tmp_path, text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_no_caller_means_that_nobody_may_send(tmp_path):
    assert read(tmp_path, '[node]\nfolder = "x"\n').callers == ()


def test_an_address_is_compared_as_a_number_not_as_text():
    caller = Caller(ae_title="A", addresses=("10.0.0.0/30", "::1/128"))
    assert caller.is_at("10.0.0.3")
    assert not caller.is_at("10.0.0.4")
    assert caller.is_at("::1")
    assert caller.is_at("::ffff:10.0.0.1")  # IPv4 at a socket of IPv6


def test_the_command_line_exits_with_2_for_an_unknown_key(tmp_path, capsys):
    from fourview.cli.main import main  # noqa: PLC0415

    path = tmp_path / "node.toml"
    path.write_text(WHOLE.replace("quiet_s", "quit_s"))
    with pytest.raises(SystemExit) as ended:
        main(["node", str(path)])
    assert ended.value.code == 2
    assert "did you mean 'quiet_s'" in capsys.readouterr().err
    assert not (tmp_path / "spool").exists()

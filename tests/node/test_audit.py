"""The audit log."""

import pytest

from fourview.node.audit import Audit
from fourview.node.journal import Journal
from node_examples import arrival


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


def test_the_audit_log_names_nobody_and_misses_nothing(journal, tmp_path):
    study = "1.2.826.0.1.3680043.10.999.1.77"
    journal.add(arrival("1.2.826.5", study), now=0)
    journal.begin(study, "k")
    journal.finish(study, "k", "failed", note="P77 Doe^Jane", facts={"reason": "timeout"})
    audit = Audit(journal, show=None)
    assert audit.write() == 3
    assert audit.write() == 0
    text = (tmp_path / "audit.jsonl").read_text()
    for secret in (study, "1.2.826.5", "Doe", "P77"):
        assert secret not in text
    assert text.count(audit.pseudonym(study)) == 3
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600
    audit.close()
    again = Audit(journal, show=None)
    assert again.pseudonym(study) == audit.pseudonym(study)
    again.close()

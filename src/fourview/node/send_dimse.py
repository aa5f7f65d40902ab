"""C-STORE to a peer: all files in one association, each with its own status.

Only classes that are sent are proposed, each with its own transfer syntax. RLE is also proposed as
explicit little endian, into which it is decoded where the peer takes nothing else.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fourview.dicom.codecs import RLE
from fourview.dicom.start import EXPLICIT_LITTLE
from fourview.errors import ReportError
from fourview.node.receive import import_pynetdicom
from fourview.node.secure import calling
from fourview.node.sent import Sent, of_status
from fourview.node.settings import Destination, NodeSettings
from fourview.report.dicom.source import Instance, read_instance, uncompressed

MOST_CONTEXTS = 128  # of one association (PS3.8 9.3.2.2)
NO_ANSWER = Sent("unanswered", "", "no answer")
CONNECT_S, ACSE_S, DIMSE_S, NETWORK_S = 10, 30, 60, 60


def send_dimse(
    files: Sequence[Path], destination: Destination, settings: NodeSettings
) -> Mapping[Path, Sent]:
    """Send files; one that cannot be sent does not keep the others back.

    Raises:
        NodeError: pynetdicom is missing, or a file of TLS cannot be used.
    """
    answers: dict[Path, Sent] = {}
    known: dict[Path, Instance] = {}
    for file in files:
        try:
            known[file] = read_instance(file)
        except ReportError as error:
            answers[file] = Sent("refused", "", f"{file.name}: {str(error).rpartition(': ')[2]}")
    if known:
        answers |= _in_association(known, destination, settings)
    return answers


def _in_association(
    known: Mapping[Path, Instance], destination: Destination, settings: NodeSettings
) -> dict[Path, Sent]:
    net, _ = import_pynetdicom()
    entity = net.AE(ae_title=settings.ae_title)
    entity.connection_timeout, entity.acse_timeout = CONNECT_S, ACSE_S
    entity.dimse_timeout, entity.network_timeout = DIMSE_S, NETWORK_S
    pairs = dict.fromkeys((each.sop_class, each.syntax) for each in known.values())
    more = {(sop_class, EXPLICIT_LITTLE) for sop_class, syntax in pairs if syntax == RLE}
    for sop_class, syntax in [*pairs, *sorted(more - set(pairs))][:MOST_CONTEXTS]:
        entity.add_requested_context(sop_class, syntax)
    secured = (
        (calling(settings.tls), destination.host) if destination.tls and settings.tls else None
    )
    try:
        association = entity.associate(
            destination.host,
            destination.port,
            ae_title=destination.ae_title,
            max_pdu=0,  # no limit
            tls_args=secured,
        )
    except (RuntimeError, OSError, ValueError) as error:
        return dict.fromkeys(known, Sent("unanswered", "", f"cannot be reached: {error}"))
    if not association.is_established:
        why = _why_not(association)
        return dict.fromkeys(known, Sent("unanswered", "", why))
    answers = dict.fromkeys(known, Sent("unanswered", "", "the association ended before it"))
    try:
        for number, (file, each) in enumerate(known.items(), start=1):
            answers[file] = _store(association, file, each, number)
            if answers[file] == NO_ANSWER:  # the association is gone, though it may not know yet
                break
    finally:
        if association.is_established:
            association.release()
    return answers


def _store(association: Any, file: Path, each: Instance, number: int) -> Sent:
    taken = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in association.accepted_contexts
    }
    what: Any = file
    if (each.sop_class, each.syntax) not in taken:
        if each.syntax != RLE or (each.sop_class, EXPLICIT_LITTLE) not in taken:
            return Sent("refused", "", "the peer takes no objects of this class and syntax")
        what = None
    try:
        if what is None:
            what = uncompressed(file)
        status = association.send_c_store(what, msg_id=number).get("Status")
    except ReportError:
        return Sent("refused", "", "its pixels cannot be decoded for a peer without RLE")
    except RuntimeError:  # the association is gone
        return NO_ANSWER
    except (ValueError, AttributeError, OSError) as error:
        return Sent("unanswered", "", f"cannot be sent: {type(error).__name__}")
    if status is None:
        return NO_ANSWER
    return of_status(int(status))


def _why_not(association: Any) -> str:
    if association.is_rejected:
        answer = association.acceptor.primitive
        why = getattr(answer, "reason_str", "")
        return f"the association was rejected{': ' if why else ''}{why}"
    return "the association was aborted, or nobody answers there"

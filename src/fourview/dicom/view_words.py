"""Side and position in words that people write: "L CC", "RMLO", "Kraniokaudal links".

A word counts only where a text names exactly one side or one position. Short positions that are
also words or units (AT, ML, CV) count only beside a side, or where they are the whole text.
"""

import re
from functools import lru_cache

from fourview.dicom.codes import VIEW_WORDS

SIDES = {"R": "R", "RIGHT": "R", "L": "L", "LEFT": "L"}
_PLAIN = ("CC", "MLO", "LMO", "XCC", "XCCL", "XCCM")
_BESIDE_A_SIDE = ("ML", "LM", "FB", "SIO", "ISO", "CV")
# Words of several languages, and what stands for them. The longer come first. A point behind ML or
# LM marks a word that was written out: it counts without a side beside it.
_LONG = tuple(
    (re.compile(rf"(?<![A-Z]){pattern}(?![A-Z])"), f" {word} ")
    for pattern, word in (
        (r"LATERO[ -]?MEDIAL[A-Z]*[ -]+(?:OBL[IÍ][A-Z]+|SCHR(?:Ä|AE|A)G)", "LMO"),
        (r"MEDIO[ -]?LATERAL[A-Z]*[ -]+(?:OBL[IÍ][A-Z]+|SCHR(?:Ä|AE|A)G)", "MLO"),
        (r"OBL[IÍ][A-Z]+[ -]+MEDIO[ -]?LATERAL[A-Z]*", "MLO"),
        (r"[CK]RAN[IE]O[ -]?[CK]AUD[A-Z]*", "CC"),
        (r"MEDIO[ -]?LATERAL[A-Z]*", "ML."),
        (r"LATERO[ -]?MEDIAL[A-Z]*", "LM."),
        (r"(?:LINKS|LINKE|GAUCHE|IZQUIERD[AO]|IZQ|SINISTRA|SX|ESQUERD[AO]|LT)", "LEFT"),
        (r"(?:RECHTS|RECHTE|DROITE?|DERECH[AO]|DER|DESTRA|DX|DIREIT[AO]|RT)", "RIGHT"),
    )
)
_SIDE = r"(?P<{0}>LEFT|RIGHT|L|R)"
_VIEW = re.compile(
    r"(?<![A-Z])(?:"
    rf"(?:{_SIDE.format('before')}[ _./-]*)?(?P<plain>{'|'.join(sorted(_PLAIN, key=len)[::-1])})"
    rf"(?:[ _./-]+{_SIDE.format('after')}(?![A-Z0-9]))?"
    rf"|{_SIDE.format('side')}[ _-]*(?P<beside>{'|'.join(_BESIDE_A_SIDE)})"
    rf"|{_SIDE.format('apart')}[ _-]+(?P<tail>AT)"
    r"|(?P<long>ML|LM)(?=\.)"
    r")(?![A-Z])"
)
_ANY = re.compile(  # what every text that names a side or a position has in it
    "CC|ML|LM|FB|SIO|ISO|CV|AT|CAUD|LATERAL|MEDIAL|LEFT|RIGHT|"
    + "|".join(
        (
            "LIN",
            "GAU",
            "IZQ",
            "SIN",
            "SX",
            "ESQ",
            "LT",
            "REC",
            "DRO",
            "DER",
            "DES",
            "DX",
            "DIR",
            "RT",
        )
    )
)
_ALONE = re.compile(r"(?<![A-Z])(LEFT|RIGHT)(?![A-Z])")
_QUANTITY = re.compile(r"\d[ ]?$")


_NOTHING: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)  # the files of an archive say the same few things
def views_in(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """All sides (R, L) and all positions that a text names; either may be empty."""
    word = text.strip().upper()
    if _ANY.search(word) is None:
        return _NOTHING, _NOTHING
    if word in VIEW_WORDS:
        position = VIEW_WORDS[word]
        return frozenset(word[-1:] if word[:-1] == "MLO_" else ""), frozenset((position,))
    for pattern, short in _LONG:
        word = pattern.sub(short, word)
    sides: set[str] = {SIDES[name] for name in _ALONE.findall(word)}
    positions = set()
    for match in _VIEW.finditer(word):
        groups = match.groupdict()
        side = groups["before"] or groups["after"] or groups["side"] or groups["apart"]
        position = groups["plain"] or groups["beside"] or groups["tail"] or groups["long"]
        if groups["plain"] == "CC" and not side and _QUANTITY.search(word[: match.start()]):
            continue  # a volume, such as 5 CC
        positions.add(VIEW_WORDS[position])
        if side:
            sides.add(SIDES[side])
    return frozenset(sides), frozenset(positions)


def side_in(text: str) -> str | None:
    """The one side that a text names, also as a single letter; None where there is none."""
    word = text.strip().upper()
    if word in SIDES:
        return SIDES[word]
    sides = views_in(text)[0]
    return next(iter(sides)) if len(sides) == 1 else None

"""An explicit file with a private sequence whose items are coded without VRs."""

import struct
import sys

import mg

item = struct.pack("<HHI", 0x0020, 0x000E, 6) + b"1.2.3\0"
sequence = (
    struct.pack("<HH2sH", 0x0009, 0x0010, b"LO", 4)
    + b"ACME"
    + struct.pack("<HH2sHI", 0x0009, 0x1002, b"SQ", 0, 0xFFFFFFFF)
    + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    + item
    + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
)
data = mg.as_bytes(mg.header(mg.picture()))
at = data.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
mg.write(f"{sys.argv[1]}/L-CC.dcm", data[:at] + sequence + data[at:])

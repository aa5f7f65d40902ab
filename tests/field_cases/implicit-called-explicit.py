"""The meta information says Explicit VR, the data set is Implicit VR."""

import struct
import sys

import mg

IMPLICIT, EXPLICIT = b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.1\0"
ds = mg.header(mg.picture())
ds.file_meta.TransferSyntaxUID = IMPLICIT[:-1].decode()
data = mg.as_bytes(ds)
at = data.index(struct.pack("<HH2sH", 2, 0x10, b"UI", len(IMPLICIT)))
told = struct.pack("<HH2sH", 2, 0x10, b"UI", len(EXPLICIT)) + EXPLICIT
data = data[:at] + told + data[at + 8 + len(IMPLICIT) :]
length = struct.unpack_from("<I", data, 140)[0] + len(EXPLICIT) - len(IMPLICIT)
mg.write(f"{sys.argv[1]}/L-CC.dcm", data[:140] + struct.pack("<I", length) + data[144:])

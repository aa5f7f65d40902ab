"""Keeping freed memory for the next layer, as the allocators of GPUs do.

The C library gives every large block back to the system when it is freed, and a network on a
processor asks for the same blocks again at once: each page is mapped and zeroed anew, which took
half of the time of MVCCL at 1536 x 768 (docs/performance.md).
"""

import ctypes
import os

SWITCH = "FOURVIEW_KEEP_MEMORY"  # 0 leaves the C library as it is
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = -1


def keep_memory() -> bool:
    """Let this process keep what it frees; it holds its highest use until it ends.

    A setting of the whole process, so it is made where a network is about to be computed on a
    processor, and nowhere else. Peak use grows by 15 to 30 %, as blocks leave gaps.

    Returns:
        Whether it is kept: not where the environment says FOURVIEW_KEEP_MEMORY=0, nor where the C
        library has no ``mallopt`` (macOS, Windows, musl).
    """
    if os.environ.get(SWITCH) == "0":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc; Windows has no CDLL(None)
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))

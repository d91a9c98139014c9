"""The control file that stands in for a data directory."""

from __future__ import annotations

import struct

from backup.restore.planning import stand_in


def test_the_checksum_is_crc_32c() -> None:
    assert stand_in.crc32c(b"123456789") == 0xE3069283, "the check value in the catalogue of CRCs"


def test_it_says_which_cluster_is_meant_and_is_in_no_state() -> None:
    content = stand_in.control_file(7710425701430951955, 1 << 20)
    assert len(content) == 8192
    assert struct.unpack_from("<Q", content) == (7710425701430951955,)
    assert struct.unpack_from("<I", content, 228) == (1 << 20,)
    assert content[16:216] == bytes(200), "no state, no checkpoint"

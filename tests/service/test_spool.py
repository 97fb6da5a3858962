"""The spool: every byte comes out in order, and one spool and all together are bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import gettempdir

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.commands.spool import Spool, SpoolSpace


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=70), st.integers(0, 3))), st.integers(1, 50), st.integers(1, 50)
)
@settings(max_examples=50, deadline=None)
def test_bytes_come_out_in_order_within_the_limits(pieces, most, shared):
    async def passed_on() -> bytes:
        space, taken = SpoolSpace(shared), bytearray()
        spool = Spool(Path(gettempdir()), space, most=most)

        async def fill() -> None:
            for piece, pauses in pieces:
                await spool.put(piece)
                for _ in range(pauses):
                    await asyncio.sleep(0)
            spool.end()

        async with asyncio.timeout(10):
            filling = asyncio.create_task(fill())
            async for chunk in spool.chunks():
                taken += chunk
                assert space.free >= 0
                assert shared - space.free <= most
                await asyncio.sleep(0)
            await filling
        spool.close()
        assert space.free == shared
        return bytes(taken)

    assert asyncio.run(passed_on()) == b"".join(piece for piece, _ in pieces)


async def test_spool_waits_while_others_use_all_space(tmp_path):
    space = SpoolSpace(10)
    first, second = Spool(tmp_path, space), Spool(tmp_path, space)
    await first.put(b"x" * 10)
    waiting = asyncio.create_task(second.put(b"y"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.05)
    first.close()
    await asyncio.wait_for(waiting, 5)
    second.close()
    assert space.free == 10


async def test_spool_file_stays_bounded_while_its_reader_follows(tmp_path):
    space = SpoolSpace(1000)
    spool = Spool(tmp_path, space, most=100)
    taken = spool.chunks()
    await spool.put(b"x" * 90)
    for _ in range(50):
        await spool.put(b"y" * 10)
        await anext(taken)
        await spool.put(b"z" * 50)
        assert 1000 - space.free <= 100
    spool.close()

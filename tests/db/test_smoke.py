import pytest
from scrm import db as d
async def test_a(db): 
    assert (await d.fetch("select 1"))[0][0] == 1
async def test_b(tx_db): 
    await tx_db.connection.execute("insert into member (created_at) values (now())")
    assert (await d.fetch("select count(*) from member"))[0][0] == 1
async def test_c(tx_db): 
    assert (await d.fetch("select count(*) from member"))[0][0] == 0
    async with d.transaction(): pass
@pytest.mark.parametrize("i", range(10))
async def test_d(db, i): pass
@pytest.mark.parametrize("i", range(10))
async def test_e(tx_db, i): pass

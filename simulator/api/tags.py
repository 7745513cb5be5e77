"""Tags of followers."""

from simulator.endpoints import OFFICIAL, OK, Answer, Call, endpoint
from simulator.errors import RefusedError
from simulator.world import Json, Thread

TAGS_MOST = 100
NAME_BYTES = 30
RESERVED = (0, 1, 2)
PER_FAN_MOST = 20
BATCH = 50
DELETE_FANS_MOST = 100_000
PAGE = 10_000


def _name(call: Call, *, but: int | None = None) -> str:
    tag = call.body.get("tag")
    name = tag.get("name") if isinstance(tag, dict) else None
    if not isinstance(name, str) or not name:
        raise RefusedError(40035, "tag.name missing")
    if len(name.encode()) > NAME_BYTES:
        raise RefusedError(45158)
    if any(t["name"] == name and t["id"] != but for t in call.account.tags):
        raise RefusedError(45157)
    return name


def _tag(call: Call, tag_id: object) -> Json:
    """Return a tag that may be changed. Raises 45058 for the platform's own and 45159 for unknown ones."""
    if tag_id in RESERVED:
        raise RefusedError(45058)
    return _existing(call, tag_id)


def _existing(call: Call, tag_id: object) -> Json:
    found = next((t for t in call.account.tags if str(t["id"]) == str(tag_id)), None)
    if found is None:
        raise RefusedError(45159)
    return found


def _holders(call: Call, tag_id: int) -> list[Thread]:
    return [t for t in call.world.followers(call.account.appid) if tag_id in t.tags]


@endpoint("POST", "/cgi-bin/tags/create", kinds=OFFICIAL, daily=1000)
async def create(call: Call) -> Answer:
    """Create a tag."""
    name = _name(call)
    if len(call.account.tags) >= TAGS_MOST:
        raise RefusedError(45056)
    tag = {"id": call.account.next_tag_id, "name": name}
    call.account.next_tag_id += 1
    call.account.tags.append(tag)
    call.world.on_change()
    return {"tag": tag}


@endpoint("GET", "/cgi-bin/tags/get", kinds=OFFICIAL, daily=1000)
async def get(call: Call) -> Answer:
    """List the tags with their numbers of fans."""
    return {"tags": [t | {"count": len(_holders(call, t["id"]))} for t in call.account.tags]}


def _body_tag(call: Call) -> Json:
    tag = call.body.get("tag")
    return _tag(call, tag.get("id") if isinstance(tag, dict) else None)


@endpoint("POST", "/cgi-bin/tags/update", kinds=OFFICIAL, daily=1000)
async def update(call: Call) -> Answer:
    """Rename a tag."""
    tag = _body_tag(call)
    tag["name"] = _name(call, but=tag["id"])
    call.world.on_change()
    return OK


@endpoint("POST", "/cgi-bin/tags/delete", kinds=OFFICIAL, daily=1000)
async def delete(call: Call) -> Answer:
    """Delete a tag and take it off its fans."""
    tag = _body_tag(call)
    holders = _holders(call, tag["id"])
    if len(holders) > DELETE_FANS_MOST:
        raise RefusedError(45057)
    for thread in holders:
        thread.tags.remove(tag["id"])
    call.account.tags.remove(tag)
    call.world.on_change()
    return OK


@endpoint("POST", "/cgi-bin/tags/members/batchtagging", kinds=OFFICIAL, daily=50_000)
async def tagging(call: Call) -> Answer:
    """Put a tag on up to 50 fans: on all or on none."""
    tag = _existing(call, call.body.get("tagid"))
    threads = call.openids("openid_list", BATCH)
    for thread in threads:
        if tag["id"] not in thread.tags and len(thread.tags) >= PER_FAN_MOST:
            raise RefusedError(45059)
    for thread in threads:
        if tag["id"] not in thread.tags:
            thread.tags.append(tag["id"])
        call.wechat.show_state(thread)
    return OK


@endpoint("POST", "/cgi-bin/tags/members/batchuntagging", kinds=OFFICIAL, daily=50_000)
async def untagging(call: Call) -> Answer:
    """Take a tag off up to 50 fans."""
    tag = _existing(call, call.body.get("tagid"))
    for thread in call.openids("openid_list", BATCH):
        if tag["id"] in thread.tags:
            thread.tags.remove(tag["id"])
        call.wechat.show_state(thread)
    return OK


@endpoint("POST", "/cgi-bin/tags/getidlist", kinds=OFFICIAL, daily=50_000)
async def of_fan(call: Call) -> Answer:
    """List the tags of a fan."""
    return {"tagid_list": call.thread(call.body.get("openid")).tags}


@endpoint("POST", "/cgi-bin/user/tag/get", kinds=OFFICIAL, daily=500)
async def fans_of(call: Call) -> Answer:
    """List the fans of a tag, 10,000 a page."""
    tag = _existing(call, call.body.get("tagid"))
    openids = [t.openid for t in _holders(call, tag["id"])]
    after = call.body.get("next_openid")
    start = openids.index(after) + 1 if after in openids else 0
    page = openids[start : start + PAGE]
    answer: Json = {"count": len(page)}
    if page:
        answer |= {"data": {"openid": page}, "next_openid": page[-1]}
    return answer

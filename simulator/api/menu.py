"""Custom menus, default and conditional."""

from simulator import menus
from simulator.endpoints import OFFICIAL, OK, Answer, Call, endpoint
from simulator.errors import RefusedError
from simulator.world import Json


def _changed(call: Call) -> None:
    for thread in call.world.threads.values():
        if thread.appid == call.account.appid:
            call.wechat.show_state(thread)


@endpoint("POST", "/cgi-bin/menu/create", kinds=OFFICIAL, daily=1000)
async def create(call: Call) -> Answer:
    """Replace the default menu."""
    call.account.menu = {"button": menus.checked(call.body), "menuid": call.world.next_id()}
    _changed(call)
    return OK


@endpoint("GET", "/cgi-bin/menu/get", kinds=OFFICIAL, daily=10_000)
async def get(call: Call) -> Answer:
    """Return what was created by the API."""
    if call.account.menu is None:
        raise RefusedError(46003)
    answer: Json = {"menu": call.account.menu}
    if call.account.conditional_menus:
        answer["conditionalmenu"] = call.account.conditional_menus
    return answer


@endpoint("GET", "/cgi-bin/menu/delete", kinds=OFFICIAL, daily=1000)
async def delete(call: Call) -> Answer:
    """Delete all menus."""
    call.account.menu = None
    call.account.conditional_menus.clear()
    _changed(call)
    return OK


@endpoint("GET", "/cgi-bin/get_current_selfmenu_info", kinds=OFFICIAL, daily=10_000)
async def current(call: Call) -> Answer:
    """Return the effective default menu, in its own shape: sub-buttons sit in a `list`."""
    if call.account.menu is None:
        return {"is_menu_open": 0}
    buttons = []
    for button in call.account.menu["button"]:
        shown = {k: v for k, v in button.items() if k != "sub_button"}
        children = [{k: v for k, v in child.items() if k != "sub_button"} for child in button.get("sub_button", [])]
        buttons.append(shown | ({"sub_button": {"list": children}} if children else {}))
    return {"is_menu_open": 1, "selfmenu_info": {"button": buttons}}


@endpoint("POST", "/cgi-bin/menu/addconditional", kinds=OFFICIAL, daily=2000)
async def add_conditional(call: Call) -> Answer:
    """Add a menu for the fans that a rule matches."""
    if call.account.menu is None:
        raise RefusedError(65303)
    rule = call.body.get("matchrule")
    if not isinstance(rule, dict) or not any(rule.get(k) for k in ("tag_id", "client_platform_type")):
        raise RefusedError(65304)
    menuid = str(call.world.next_id())
    menu = {"button": menus.checked(call.body), "matchrule": rule, "menuid": menuid}
    call.account.conditional_menus.append(menu)
    _changed(call)
    return {"menuid": menuid}


@endpoint("POST", "/cgi-bin/menu/delconditional", kinds=OFFICIAL, daily=1000)
async def delete_conditional(call: Call) -> Answer:
    """Delete one conditional menu."""
    menuid = str(call.body.get("menuid", ""))
    kept = [m for m in call.account.conditional_menus if m["menuid"] != menuid]
    if len(kept) == len(call.account.conditional_menus):
        raise RefusedError(65301)
    call.account.conditional_menus[:] = kept
    _changed(call)
    return OK


@endpoint("POST", "/cgi-bin/menu/trymatch", kinds=OFFICIAL, daily=20_000)
async def try_match(call: Call) -> Answer:
    """Return the menu that a fan, named by openid, sees."""
    menu = menus.shown(call.account, call.thread(call.body.get("user_id")))
    if menu is None:
        raise RefusedError(46003)
    return menu

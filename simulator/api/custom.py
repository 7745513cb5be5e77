"""Customer-service messages: send, typing, and who of the staff is online."""

from simulator import messages, windows
from simulator.endpoints import OFFICIAL, OK, Answer, Call, endpoint
from simulator.errors import RefusedError

TYPING_SECONDS = 15
TYPING_NEEDS_MESSAGE_WITHIN = 30


@endpoint("POST", "/cgi-bin/message/custom/send", verified=True, daily=500_000)
async def send(call: Call) -> Answer:
    """Send a message within the windows of `simulator.windows`."""
    thread = call.thread(call.body.get("touser"))
    kind, content = messages.custom(call.world, call.account, call.body)
    if thread.blocked:
        raise RefusedError(48002)
    windows.spend(thread, call.now)
    call.world.post(thread, "account", kind, content, via="custom")
    call.wechat.show_state(thread)
    return OK


@endpoint("POST", "/cgi-bin/message/custom/typing", verified=True, daily=500_000)
async def typing(call: Call) -> Answer:
    """Show or hide "对方正在输入"."""
    thread = call.thread(call.body.get("touser"))
    command = call.body.get("command")
    if command not in ("Typing", "CancelTyping"):
        raise RefusedError(45072)
    if command == "CancelTyping":
        thread.typing_until = 0.0
    elif thread.last_message + TYPING_NEEDS_MESSAGE_WITHIN < call.now:
        raise RefusedError(45080)
    elif thread.typing_until > call.now:
        raise RefusedError(45081)
    else:
        thread.typing_until = call.now + TYPING_SECONDS
    call.wechat.show_state(thread)
    return OK


@endpoint("GET", "/cgi-bin/customservice/getkflist", kinds=OFFICIAL, verified=True)
async def kf_list(call: Call) -> Answer:
    """List customer-service accounts; the simulator has those that are online."""
    return {"kf_list": [{"kf_account": name, "kf_id": str(i)} for i, name in _staff(call)]}


@endpoint("GET", "/cgi-bin/customservice/getonlinekflist", kinds=OFFICIAL, verified=True)
async def online_kf_list(call: Call) -> Answer:
    """List customer-service accounts that are online."""
    return {
        "kf_online_list": [
            {"kf_account": name, "status": 1, "kf_id": str(i), "accepted_case": 0} for i, name in _staff(call)
        ]
    }


def _staff(call: Call) -> list[tuple[int, str]]:
    return list(enumerate(call.account.kf_online, start=1001))

"""WeRoBot, as its documentation shows it: an echo in safe mode, without sessions."""

from typing import Any

from werobot import WeRoBot

from bench.pushes import ACCOUNT

robot = WeRoBot(token=ACCOUNT.token, encoding_aes_key=ACCOUNT.aes_key, app_id=ACCOUNT.appid, enable_session=False)


@robot.text  # type: ignore[untyped-decorator]  # WeRoBot publishes no types
def echo(message: Any) -> Any:
    """Answer a text with itself."""
    return message.content


app = robot.wsgi

"""wechatpy behind Flask, as its documentation shows it: an echo in safe mode that stores nothing."""

from flask import Flask, request
from wechatpy import create_reply, parse_message
from wechatpy.crypto import WeChatCrypto

from bench.pushes import ACCOUNT

app = Flask(__name__)
crypto = WeChatCrypto(ACCOUNT.token, ACCOUNT.aes_key, ACCOUNT.appid)


@app.post("/wechat/<account>")
def push(account: str) -> str:
    """Answer a text with itself."""
    timestamp, nonce = request.args["timestamp"], request.args["nonce"]
    xml = crypto.decrypt_message(request.get_data(), request.args["msg_signature"], timestamp, nonce)
    message = parse_message(xml)
    answer: str = crypto.encrypt_message(create_reply(message.content, message).render(), nonce, timestamp)
    return answer

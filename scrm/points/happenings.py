"""The timeline's words for what rules look at; each has the rules as its consequence.

Payloads (ids are strings of at most 48 characters, amounts are fen, `platform` may name where it happened):

* checkin.done: {}                                             about whoever checks in
* post.published: {post}                                         about the author
* post.judged: {post, verdict: approved|filler, published_at}    about the author
* post.commented, post.liked, post.shared: {post, author}        about whoever acts; `author` is a member's id
* order.received: {order, amount}                                about the buyer
* order.returned: {order, amount, returned}                      `returned` is the total of the order so far
* order.return_opened, order.return_closed: {order}              closed: refused or withdrawn
* member.referred: {inviter}                                     about the new member; `inviter` is a member's id
* referral.fraud: {}                                             about the new member who was none
* product.authenticated, product.fraud: {code}                   about whoever registered the product
"""

from scrm.events.kinds import register
from scrm.points.awarding import consequence

TITLES = {
    "checkin.done": "签到",
    "post.published": "发帖",
    "post.judged": "帖子审核",
    "post.commented": "评论帖子",
    "post.liked": "点赞帖子",
    "post.shared": "分享帖子",
    "order.received": "确认收货",
    "order.returned": "退货完成",
    "order.return_opened": "申请退货",
    "order.return_closed": "退货关闭",
    "member.referred": "受邀注册",
    "referral.fraud": "邀请作弊",
    "product.authenticated": "产品验真建档",
    "product.fraud": "恶意注册产品",
}

for _name, _title in TITLES.items():
    register(_name, _title, consequence)

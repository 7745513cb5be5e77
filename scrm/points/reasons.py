"""Why a rule gave something, gave less, nothing, or took it back: stable codes, and the words people read."""

REASONS = {
    "awarded": "已发放",
    "promised": "延后到账",
    # given less than planned, or nothing
    "cap_day": "已达当日上限",
    "cap_month": "已达当月上限",
    "already_today": "今日已奖励过",
    "already_once": "每人只奖励一次",
    "duplicate": "同一事项已奖励过",
    "too_small": "不足一个奖励单位",
    "disabled": "规则未启用",
    "not_effective": "规则在当时未生效",
    "awaiting_verdict": "等待审核",
    "own_post": "自己与自己的帖子互动",
    "self_referral": "自己邀请自己",
    # taken back, or never given, by a return or a verdict
    "returned": "退货扣回",
    "filler_post": "水贴扣回",
    "fraud": "作弊扣回",
    # put off, and no longer
    "return_open": "退货处理中，暂缓发放",
    "return_closed": "退货已关闭，恢复发放",
}

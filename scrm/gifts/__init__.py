"""The points mall 积分商城: gifts that members redeem with points, and what becomes of each redemption."""

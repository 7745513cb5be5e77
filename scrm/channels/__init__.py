"""Channels 渠道: parameterised QR codes, and which people came through them."""

"""Brands and the WeChat accounts (公众号, 小程序) through which they speak."""

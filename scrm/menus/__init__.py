"""Menus 自定义菜单 as data: the definition we want, and what was published when."""

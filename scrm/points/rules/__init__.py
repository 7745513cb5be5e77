"""The kinds of rules, one file each; a new file here is a new kind, registered by being there."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

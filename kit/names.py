"""What people type where a name is asked for."""

import unicodedata


def is_name(text: str, most: int) -> bool:
    """Tell whether it is 1 to `most` characters, not all blank, and each can be shown and stored."""
    shown = all(unicodedata.category(letter) not in {"Cc", "Cs"} for letter in text)
    return shown and bool(text.strip()) and len(text) <= most

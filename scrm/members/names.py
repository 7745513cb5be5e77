"""What a person is called, the same on every page of the staff: their nickname, else their member number."""

from scrm.members.profiles import Profile

ERASED = "已注销的会员"


def numbered(person_id: int) -> str:
    """Return a person by number alone: for what is kept for ever, such as the audit trail."""
    return f"会员 {person_id}"


def called(profile: Profile, person_id: int, *, erased: bool) -> str:
    """Return what staff call a person; `person_id` is the living member, not a home that was merged into it.

    WeChat has told no nicknames since December 2021, so whoever has not written one into the mini-program has none.
    """
    if erased:
        return ERASED
    return profile.nickname or numbered(person_id)

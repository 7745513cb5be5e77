"""Check-in 签到: once per natural day and person, with streaks, a calendar and make-up cards."""

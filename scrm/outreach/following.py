"""Whether a fan can be spoken to as a follower: what the gate decides by, and what the inbox shows."""

from scrm.outreach.windows import LONGEST, OPENS

_ACTS = ", ".join(f"'{kind}'" for kind in OPENS)

# A condition on fan f, its member m and its account a; $1 is now. Nobody follows a mini-program, and whoever uses one
# needs not. Elsewhere only followers can write, click or scan, so whoever did since we last heard of it follows: also
# a follower from before our time, or one whose return never reached us. Where somebody was erased nobody is there.
FOLLOWS = f"""
(a.kind = 'miniprogram' OR f.following OR m.erased_at IS NULL AND EXISTS (
    SELECT FROM event e
    WHERE e.member_id = f.member_id AND e.fan_id = f.id AND e.kind IN ({_ACTS})
      AND e.occurred_at > greatest(f.follow_changed_at, $1::timestamptz - interval '{LONGEST.total_seconds()} s')
))
"""

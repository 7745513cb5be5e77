"""Every write of the console's pages goes through its form: tried again, it is the same write under the same key."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "frontend" / "console" / "src"
ASKED = re.compile(r"""\bask\(\s*['"`]((?:POST|PUT|DELETE) [^'"`]+)""")
# Signing in has no key.
APART = {"POST /sign-in", "POST /sign-out"}
# Messages and points keep their keys beside what waits to be sent, also over a reload; the others say that one is here.
KEEPERS = {PAGES / "inbox" / name for name in ("sending.ts", "GiftDialog.vue", "chat.ts", "inbox.ts")}


def reads() -> set[str]:
    """What is asked by POST and changes nothing: it takes no Idempotency-Key."""
    document = json.loads((ROOT / "docs/openapi/console.json").read_text(encoding="utf-8"))
    return {
        f"POST {path.removeprefix('/api/console')}"
        for path, item in document["paths"].items()
        if "post" in item and "Idempotency-Key" not in json.dumps(item["post"].get("parameters", []))
    }


def test_no_form_writes_under_a_key_of_its_own() -> None:
    harmless = reads() | APART
    bare = [
        f"{path.relative_to(PAGES)}: {operation}"
        for path in sorted([*PAGES.rglob("*.vue"), *PAGES.rglob("*.ts")])
        if path not in KEEPERS
        for operation in ASKED.findall(path.read_text(encoding="utf-8"))
        if operation not in harmless
    ]
    assert bare == ["api.ts: PUT /staff/{staff_id}"]  # the example in its comment

"""Whether what a model said may be said to a fan: only what its passages and tool results bear out, and no secret.

Pure. Every doubt has a stable code; the answer is then withheld whole, for half an answer is a new one that nobody
checked.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scrm.assistant.figures import invented
from scrm.assistant.prompting import UNSURE

LENGTH_MOST = 1500
# Of an answer's pairs of letters, and of each of its sentences', how many its evidence must have. Quotes have nearly
# all, free speech a tenth; a true sentence must not carry a made-up one.
BORNE_OUT, EACH_BORNE_OUT = 0.4, 0.3
# So many letters in a row of the instructions are a leak and no coincidence.
FRAGMENT = 10

_CITATION = re.compile(r"[\[［【〔]\s*(?:资料)?\s*(\d{1,3})\s*[\]］】〕]")
_SECRET = re.compile(
    r"sk-[A-Za-z0-9_-]{6,}|bearer\s+\S{8,}|api[_\s-]?key|secret[_\s-]?key|access[_\s-]?token|密钥|fensi_[a-z_]+"
    r"|\bo[A-Za-z0-9_-]{25,30}\b",
    re.IGNORECASE,
)
# Good manners need no evidence.
_MANNERS = re.compile(
    r"(您好|你好|亲爱的|亲|感谢您的(咨询|提问|支持)|谢谢您的?(咨询|支持)?|希望(以上信息|这)?(能)?对您有所?帮助"
    r"|如(您)?(还)?有(其他|其它|别的|任何)?(问题|疑问)[，,]?(欢迎|请|可以?)?(随时)?(咨询|联系|告诉|问)(我们?)?|祝您?生活愉快)"
)
_SENTENCES = re.compile(r"[。！？!?；;\n]+")
_MARKUP = re.compile(r"\]\(|<[a-zA-Z/!]|```|!\[|javascript:|data:", re.IGNORECASE)
_ENCODED = re.compile(r"[A-Za-z0-9+/=_-]{24,}")
# What a name at WeChat looks like: whoever is to be written to elsewhere stands in the evidence, or is an impostor.
_HANDLE = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9_-]{5,}")
# What a shop is held to when it says so.
PROMISES = (
    "免费", "免单", "半价", "包邮", "赠送", "白送", "终身", "永久", "全额", "无条件", "无理由", "承诺", "赔偿",
    "赔付", "退一赔", "最低价", "先行垫付",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of checking: the words for the fan and the passages they rest on (from 1), or the doubt.

    Doubts: empty, unsure, too_long, leak, encoded, secret, markup, citation, no_citation, figure, promise, unsupported,
    contact, banned. `detail` says what exactly, for the record.
    """

    text: str
    cited: tuple[int, ...]
    doubt: str = ""
    detail: str = ""


def check(
    answer: str,
    *,
    passages: Sequence[str],
    results: Sequence[str],
    rules: str,
    canary: str,
    banned: Collection[str],
) -> Checked:
    """Check an answer against its evidence: `passages` in their order, and the `results` of tools."""
    if not answer.strip():
        return Checked("", (), "empty")
    if UNSURE in answer or UNSURE.strip("【】") == answer.strip("。【】 \n"):
        return Checked("", (), "unsure")
    if len(answer) > LENGTH_MOST:
        return Checked("", (), "too_long", str(len(answer)))
    everything = "\n".join([*passages, *results])
    doubt = _leaks(answer, rules, canary, everything) or _looks(answer, everything)
    if doubt:
        return Checked("", (), *doubt)
    cited = tuple(sorted({int(number) for number in _CITATION.findall(answer)}))
    if any(not 1 <= number <= len(passages) for number in cited):
        return Checked("", (), "citation", str(cited))
    if not cited and not results:
        return Checked("", (), "no_citation")
    text = _CITATION.sub("", answer).strip()
    evidence = "\n".join([*(passages[number - 1] for number in cited), *results])
    doubt = _unborne(text, evidence)
    if doubt:
        return Checked("", (), *doubt)
    if word := says_banned(text, banned):
        return Checked("", (), "banned", word)
    return Checked(text, cited)


def says_banned(text: str, banned: Collection[str]) -> str:
    """Return the first banned word in a text, however it is spaced or written; empty when there is none."""
    squeezed = _squeeze(text)
    return next((word for word in banned if _squeeze(word) in squeezed), "")


def _leaks(answer: str, rules: str, canary: str, evidence: str) -> tuple[str, str] | None:
    """Look for the instructions in an answer, forwards and backwards, with anything in between."""
    said, secret, known = _squeeze(answer), _squeeze(rules), _squeeze(evidence)
    for way in (said, said[::-1]):
        if _squeeze(canary) in way:
            return "leak", "canary"
        for n in range(len(way) - FRAGMENT + 1):
            part = way[n : n + FRAGMENT]
            if part in secret and part not in known:
                return "leak", "rules"
    return None


def _looks(answer: str, evidence: str) -> tuple[str, str] | None:
    """Look for what no answer to a customer has."""
    if found := _SECRET.search(answer):
        return "secret", found.group()[:4]
    for run in _ENCODED.findall(answer):
        if run not in evidence:
            return "encoded", f"{len(run)} letters"
    if found := re.search(r"[{}]", answer):
        return "markup", found.group()  # a tool's result as it came, or worse
    if (found := _MARKUP.search(answer)) and found.group() not in evidence:
        return "markup", found.group()
    return None


def _unborne(text: str, evidence: str) -> tuple[str, str] | None:
    """Look for what the evidence does not bear out."""
    if made_up := invented(_without_numbering(text), evidence):
        return "figure", "，".join(made_up)[:200]
    for word in PROMISES:
        if word in text and word not in evidence:
            return "promise", word
    known, plain = grams(evidence), _MANNERS.sub("", text)
    parts = [(plain, BORNE_OUT), *((one, EACH_BORNE_OUT) for one in _SENTENCES.split(plain))]
    for part, least in parts:
        own = grams(part)
        if own and len(own & known) / len(own) < least:
            return "unsupported", f"{len(own & known) / len(own):.2f} of {len(own)}"
    stated = unicodedata.normalize("NFKC", evidence).casefold()
    for handle in _HANDLE.findall(unicodedata.normalize("NFKC", text)):
        if handle.casefold() not in stated:
            return "contact", handle[:64]
    return None


def _without_numbering(text: str) -> str:
    return re.sub(r"(?m)^\s*(?:\d{1,2}[.、)）]|[①-⑳])\s*", "", text)


def grams(text: str) -> set[str]:
    """Return the pairs of neighbouring letters of a text; blanks and punctuation do not count."""
    squeezed = _squeeze(text)
    return {squeezed[n : n + 2] for n in range(len(squeezed) - 1)}


def _squeeze(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())

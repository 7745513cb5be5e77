"""The assistant's own sentences, as fans read them."""

from collections.abc import Sequence

AI_MARK = "（AI 生成，仅供参考）"
OFFER = "回复“人工”，为您转接客服同事。"

UNSURE = f"抱歉，这个问题我还拿不准，怕说错耽误您。\n{OFFER}"
BUSY = f"抱歉，我现在有点忙不过来，没能查到答案。\n{OFFER}"
SPENT = f"抱歉，今天智能问答的次数已经用完，明天再来问我吧。\n着急的话，{OFFER}"


def sourced(text: str, title: str) -> str:
    """Return an answer from the knowledge base with the line that says where from."""
    return f"{text.strip()}\n\n来源：{title.strip()}"


def generated(text: str, titles: Sequence[str]) -> str:
    """Return a model's answer with where it is from and the mark that a machine wrote it."""
    sources = f"\n\n来源：{'；'.join(title.strip() for title in titles)}" if titles else "\n"
    return f"{text}{sources}\n{AI_MARK}"


def menu(titles: Sequence[str]) -> str:
    """Return the question which of these was meant."""
    lines = "\n".join(f"{n}. {title.strip()}" for n, title in enumerate(titles, 1))
    return f"您想问的是不是：\n{lines}\n\n请回复数字，或换个说法再问一次；{OFFER}"

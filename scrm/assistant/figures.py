"""Figures 数字: every number, price, date, time, phone and address a text states, in one form that can be compared.

A model that quotes says only what it was given. A figure of its answer that no passage and no tool result has is
therefore made up, however well it reads.
"""

import re
import unicodedata
from collections.abc import Iterator

# What one is told a number of, by its most usual name.
_UNITS = {
    "元": "元 块钱 块 圆 rmb 人民币",
    "折": "折",
    "%": "%",
    "天": "天",
    "工作日": "个工作日 工作日",
    "小时": "个小时 小时 钟头",
    "分钟": "分钟",
    "周": "周 星期 个星期",
    "月": "个月",
    "年": "年",
    "积分": "积分",
    "成长值": "成长值 经验值 经验",
    "倍": "倍",
    "次": "次",
    "件": "件",
    "张": "张",
    "岁": "岁",
    "位": "位",
    "个": "个",
    "份": "份",
}
_NAMES = {name: unit for unit, names in _UNITS.items() for name in names.split()}
_UNIT = "|".join(sorted(map(re.escape, _NAMES), key=len, reverse=True))

_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_HAN = "零〇一二两三四五六七八九十百千"
# Words with a numeral in them that count nothing.
_IDLE = re.compile(
    r"十分(?!钟)|万一|一一|千万别|千万不要|千万要|统一|唯一|一律|一般|一定|一起|一直|一些|一下|一点(?!钟|半)|第一时间"
    rf"|(?<![{_HAN}\d])一(?=个(?!月|工作日|小时|星期)|次|份|位|件|张|项|种|款|杯|家)"
)
_SPOKEN = re.compile(rf"百分之([{_HAN}]+|\d+(?:\.\d+)?)")
_NUMERAL = re.compile(rf"[{_HAN}]+(?=\s*(?:万|亿|点|时|月|日|号|{_UNIT}))|[{_HAN}]{{2,}}")

_TAIL = r"[a-z0-9._~/?#%&=+:@!$*'-]"
_URL = re.compile(rf"(?:https?://|www\.){_TAIL}+|[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.[a-z]{{2,}}(?:/{_TAIL}*)?")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DATE = re.compile(
    r"(?:(?P<y>\d{4})\s*[-/.年]\s*)?(?P<m>\d{1,2})\s*(?:[-/.]|月)\s*(?P<d>\d{1,2})\s*[日号]"
    r"|(?P<y2>\d{4})[-/.](?P<m2>\d{1,2})[-/.](?P<d2>\d{1,2})"
)
_TIME = re.compile(
    r"(上午|早上|中午|下午|晚上|晚|凌晨)?\s*(\d{1,2})\s*(?::\s*(\d{2})(?!\d)|点(半|\s*(\d{1,2})\s*分)?钟?)"
)
_PHONE = re.compile(r"(?<!\d)(?:\d{7,}|0\d{2,3}[- ]\d{7,8}|[48]00[- ]?\d{3}[- ]?\d{4}|1\d{2}[- ]\d{4}[- ]\d{4})(?!\d)")
_AMOUNT = re.compile(rf"([¥￥$])?\s*(\d+(?:\.\d+)?)\s*(万|亿)?\s*({_UNIT})?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def figures(text: str) -> set[str]:
    """Return the figures of a text, such as `30元`, `date:12-31`, `time:9:30`, `number:13900000000`."""
    return set(_all(_normal(text)))


def invented(answer: str, evidence: str) -> list[str]:
    """Return the figures of an answer that the evidence does not state, sorted.

    A number alone is stated wherever it stands; a number of something only with the same unit.
    """
    stated = figures(evidence)
    bare = {re.sub(r"[^\d.]", "", figure) for figure in stated if not figure.startswith(("url:", "mail:"))}
    bare |= {part for figure in stated if figure.startswith(("date:", "time:")) for part in _parts(figure)}
    made_up = []
    for figure in figures(answer):
        if figure in stated or (figure.startswith("count:") and figure.removeprefix("count:") in bare):
            continue
        made_up.append(figure)
    return sorted(made_up)


def _parts(figure: str) -> Iterator[str]:
    for part in re.findall(r"\d+", figure):
        yield str(int(part))


def _normal(text: str) -> str:
    text = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).casefold())
    text = _IDLE.sub("", text)
    text = _SPOKEN.sub(lambda found: f"{_arabic(found.group(1))}%", text)
    return _NUMERAL.sub(lambda found: _arabic(found.group()), text)


def _arabic(numeral: str) -> str:
    """Return a Chinese numeral below ten thousand in digits; one that is none, as it is."""
    if numeral[0].isdigit():
        return numeral
    if not any(c in _TENS for c in numeral):
        return "".join(str(_DIGITS[c]) for c in numeral)  # read out digit by digit, as years are
    total, digit = 0, None
    for c in numeral:
        if c in _TENS:
            total += (1 if digit is None else digit) * _TENS[c]
            digit = None
        else:
            digit = _DIGITS[c]
    return str(total + (digit or 0))


def _all(text: str) -> Iterator[str]:
    """Yield figures, the most particular first; what has been read as one is not read again."""

    def taken(pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        nonlocal text
        found = list(pattern.finditer(text))
        for match in reversed(found):
            text = f"{text[: match.start()]} ； {text[match.end() :]}"
        return iter(found)

    for match in taken(_MAIL):
        yield f"mail:{match.group()}"
    for match in taken(_URL):
        yield f"url:{match.group().rstrip('/.')}"
    for match in taken(_DATE):
        year = match["y"] or match["y2"]
        if year:
            yield f"{int(year)}年"
        yield f"date:{int(match['m'] or match['m2'])}-{int(match['d'] or match['d2'])}"
    for match in taken(_TIME):
        yield f"time:{_clock(match)}"
    for match in taken(_PHONE):
        yield f"number:{re.sub(r'[^0-9]', '', match.group())}"
    for match in taken(_AMOUNT):
        yield _amount(match)


def _clock(match: re.Match[str]) -> str:
    part, hour, minute, half, spoken = match.groups()
    hours = int(hour)
    if part in {"下午", "晚上", "晚"} and hours < 12:
        hours += 12
    return f"{hours}:{int(minute or (30 if half == '半' else spoken) or 0):02}"


def _amount(match: re.Match[str]) -> str:
    sign, number, many, unit = match.groups()
    value = float(number) * {"万": 10_000, "亿": 100_000_000}.get(many or "", 1)
    if unit == "折" and value >= 10:
        value /= 10  # 85折 is 8.5折
    plain = f"{value:.4f}".rstrip("0").rstrip(".")
    name = "元" if sign in {"¥", "￥"} else "$" if sign else _NAMES.get(unit or "", "")
    return f"{plain}{name}" if name else f"count:{plain}"

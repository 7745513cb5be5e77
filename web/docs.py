"""An OpenAPI document as one plain page for people: no script, nothing from anywhere else."""

import json
from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.6 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
code, pre { font: 13px/1.5 ui-monospace, monospace; background: #f5f5f2; border-radius: 4px; padding: .1em .3em }
pre { overflow: auto; padding: .7em }
summary { cursor: pointer; padding: .25em 0 } summary b { display: inline-block; width: 4.5em; color: #27683f }
td { vertical-align: top; padding: .1em .8em .1em 0 } details details { margin-left: 1rem }
"""


def page(document: dict[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    info = document["info"]
    operations = "\n".join(
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    )
    schemas = "\n".join(
        f'<details id="{escape(name)}"><summary>{escape(name)}：{escape(schema.get("description", ""))}</summary>'
        f"<pre>{escape(json.dumps(schema, ensure_ascii=False, indent=2))}</pre></details>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    return (
        f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])}</p><h2>接口</h2>{operations}<h2>数据</h2>{schemas}</html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "、".join(f"<code>{escape(one['name'])}</code>" for one in operation["parameters"])
    body = operation.get("requestBody", {}).get("content", {})
    answers = "".join(
        f"<tr><td>{status}<td>{escape(answer['description'])} {_schema(answer.get('content', {}))}"
        for status, answer in operation["responses"].items()
    )
    title = f"<b>{method.upper()}</b> <code>{escape(path)}</code> {escape(operation['summary'])}"
    return (
        f"<details><summary>{title}</summary>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        f"<p>参数：{parameters or '无'}；内容：{_schema(body) or '无'}</p><table>{answers}</table></details>"
    )


def _schema(content: dict[str, Any]) -> str:
    names = [media["schema"]["$ref"].rpartition("/")[2] for media in content.values() if "$ref" in media["schema"]]
    return " ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)

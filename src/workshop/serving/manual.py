"""The service's manual as a page, written from its OpenAPI document.

Try it:  open localhost:8080/docs
FastAPI's own page has its reader's browser fetch programs from elsewhere, of whatever version is there that day,
and run them as pages of this service. This one fetches and runs nothing, so it is there without the internet too.
Knows no routes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

# The page may use what stands in it, and nothing else.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = "body{font-family:sans-serif;max-width:50em;margin:2em auto}pre{background:#eee;padding:.6em;overflow:auto}"

Document = Mapping[str, Any]


def page(document: Document) -> bytes:
    """The whole page, in UTF-8."""
    info = document["info"]
    head = f"<title>{escape(info['title'])}</title><style>{STYLE}</style>"
    text = "".join(f"<p>{escape(part)}</p>" for part in info["description"].split("\n\n"))
    calls = "".join(
        part
        for path, methods in document["paths"].items()
        for method, call in methods.items()
        for part in _call(f"{method.upper()} {path}", call, document["components"]["schemas"])
    )
    title = f"<h1>{escape(info['title'])}</h1>"
    return f'<!doctype html><html lang="en"><meta charset="utf-8">{head}{title}{text}{calls}'.encode()


def _call(name: str, call: Document, schemas: Document) -> Iterator[str]:
    yield f"<h2>{escape(name)}</h2><p>{escape(call.get('description') or call.get('summary') or '')}</p>"
    taken = _schema(call.get("requestBody") or {})
    if taken:
        yield f"<p>It takes</p>{_shown(taken, schemas)}"
    for status, answer in call["responses"].items():
        yield f"<p><b>{escape(status)}</b> {escape(answer['description'])}</p>"
        if status == "200" and _schema(answer):
            yield _shown(_schema(answer), schemas)


def _schema(body: Document) -> str:
    """The name of a body's schema; '' if it is no JSON."""
    reference = body.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
    return str(reference).rpartition("/")[2]


def _shown(name: str, schemas: Document) -> str:
    """A schema by what its members are, and an example of each where there is one."""
    members = schemas[name].get("properties", {})
    example = {key: _example(member, schemas) for key, member in members.items()}
    return f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"


def _example(member: Document, schemas: Document) -> Any:
    if member.get("examples"):
        return member["examples"][0]
    if "$ref" in member:
        found = schemas[member["$ref"].rpartition("/")[2]].get("properties", {})
        return {key: _example(each, schemas) for key, each in found.items()}
    for choice in member.get("anyOf") or []:
        if choice.get("type") != "null":
            return _example(choice, schemas)
    if member.get("type") == "array":
        return [_example(member["items"], schemas)]
    return member.get("type", "")

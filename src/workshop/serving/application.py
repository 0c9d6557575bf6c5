"""The service's HTTP application: FastAPI for all that is asked now and then, and for the documentation of everything.

Try it:  curl localhost:8080/openapi.json; open localhost:8080/docs
The two routes that classify are declared here like all others, so that they are documented and their wrong methods
refused, and answered by `hot_routes` before FastAPI sees them. Knows nothing of processes or of the network.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from workshop.serving import manual, messages
from workshop.serving.hot_routes import (
    JSON,
    RETRY_SECONDS,
    Classifier,
    HotRoute,
    Receive,
    Scope,
    Send,
    why_not_ready,
)
from workshop.serving.in_service import InService
from workshop.serving.metrics import CONTENT_TYPE, Metrics

Responses = dict[int | str, dict[str, Any]]  # by status, as FastAPI wants them described
DESCRIPTION = f"""Tells the sentiment of texts, with the network that the workshop has trained and published.

A body has at most {messages.LARGEST_BODY_BYTES} bytes; a text has 1 to {messages.LONGEST_TEXT} characters,
of which the network reads as many words as its longest training text had; a list has 1 to {messages.MOST_TEXTS} texts.
Every error is `{{"error", "fix"}}`: what is wrong, and what to do."""


class Service(FastAPI):
    """FastAPI, with two routes in front of it and a count of everything."""

    hot: dict[str, HotRoute]
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        hot = self.hot.get(scope["path"])
        if hot is not None and scope["method"] == "POST":
            await hot(scope, receive, send)
            return
        await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 500

        async def noted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        known = any(route.path == scope["path"] for route in self.routes if hasattr(route, "path"))
        try:
            await super().__call__(scope, receive, noted)
        finally:
            path = scope["path"] if known else "other"
            self.metrics.answered(path, status, time.perf_counter() - started)


def make(in_service: InService, background: Callable[[], AbstractAsyncContextManager[None]]) -> Service:
    """Put the application together. background: what runs as long as it is up."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with background():
            yield

    app = Service(
        title="Sentiment",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    metrics = Metrics(in_service)
    classifier = Classifier(metrics)
    app.metrics = metrics
    app.hot = {
        "/parseinputs": HotRoute("/parseinputs", classifier.parse_inputs, in_service, metrics),
        "/predict": HotRoute("/predict", classifier.predict, in_service, metrics),
    }
    _add_hot(app, "/parseinputs", "ParseInputs", "Sentiment", "Classify one text")
    _add_hot(app, "/predict", "Predict", "Predictions", "Classify one text or a list, with probabilities")
    _add_others(app, in_service, metrics)
    return app


def _add_hot(app: Service, path: str, takes: str, gives: str, summary: str) -> None:
    """Declare a route that `Service` answers itself, so that what is said of it stands in the document."""

    async def unreached() -> Response:
        raise AssertionError(f"{path} is answered by hot_routes")

    refused = {
        400: "The body is not JSON in UTF-8",
        413: f"The body has more than {messages.LARGEST_BODY_BYTES} bytes",
        415: "The body is not declared as application/json",
        422: "The body is JSON, and not what this route takes",
        503: "No model is in service yet",
    }
    responses: Responses = {200: _answer(gives, "The answer")}
    responses |= {code: _answer("Refusal", text) for code, text in refused.items()}
    app.add_api_route(
        path,
        unreached,
        methods=["POST"],
        summary=summary,
        operation_id=path.strip("/"),
        response_model=None,
        responses=responses,
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": _reference(takes)}}}
        },
    )


def _add_others(app: Service, in_service: InService, metrics: Metrics) -> None:
    async def ping() -> Response:
        """The process answers; whether it has a model, /healthz tells."""
        return _json(200, messages.Working("working"))

    async def healthz() -> Response:
        """200 once a verified model is in service, with what is wrong with newer ones; else 503 with the reason."""
        return _health(in_service)

    async def prometheus() -> Response:
        """Requests by path and status, latency, texts, and the model in service, in Prometheus's text format."""
        return Response(metrics.text(), media_type=None, headers={"content-type": CONTENT_TYPE})

    routes: tuple[tuple[str, Callable[[], Any], Responses], ...] = (
        ("/ping", ping, {200: _answer("Working", "The process answers")}),
        (
            "/healthz",
            healthz,
            {200: _answer("Ready", "Ready"), 503: _answer("Refusal", "No model is in service")},
        ),
        (
            "/metrics",
            prometheus,
            {200: {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}},
        ),
    )
    for path, call, responses in routes:
        app.add_api_route(
            path,
            call,
            methods=["GET"],
            operation_id=path.strip("/"),
            response_model=None,
            responses=responses,
            response_class=Response,
        )

    async def docs() -> Response:
        """The document as a page to read."""
        policy = {"content-security-policy": manual.POLICY}
        return Response(manual.page(app.openapi()), 200, policy, media_type="text/html; charset=utf-8")

    app.add_api_route("/docs", docs, methods=["GET"], include_in_schema=False)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]


def _health(in_service: InService) -> Response:
    refused, problem = (
        messages.Reason(**found) if found else None for found in (in_service.refused, in_service.problem)
    )
    model = in_service.model
    if model is None:
        error, fix = why_not_ready(in_service)
        return _json(503, messages.Refusal(error, fix, refused), {"retry-after": RETRY_SECONDS.decode()})
    return _json(200, messages.Ready("ready", model.version, model.since, refused, problem))


def _document(app: Service) -> dict[str, Any]:
    """FastAPI's OpenAPI document with the messages' schemas, made once."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        found.setdefault("components", {}).setdefault("schemas", {}).update(messages.components())
        app.openapi_schema = found
    return app.openapi_schema


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(name: str, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _reference(name)}}}


def _json(status: int, message: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(messages.encode(message), status, headers, media_type=JSON[1].decode())


async def _refused(request: Request, error: Exception) -> Response:
    """What no route takes: unknown paths and wrong methods, in the form of every error."""
    if not isinstance(error, HTTPException):
        raise error
    told = f"{request.method} {request.url.path}: {str(error.detail).lower()}"
    return _json(
        error.status_code,
        messages.Refusal(told, "GET /openapi.json lists what there is"),
        dict(error.headers or {}),
    )


async def _failed(request: Request, error: Exception) -> Response:
    return _json(500, messages.Refusal("the service failed; the reason is in its log", "try again"))

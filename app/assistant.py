"""Wiring of the assistant: the model of the settings, the brand's knowledge, the tools, and WeChat's moderation."""

from contextlib import AsyncExitStack
from typing import Any

from app.settings import Settings
from gateways.llm.client import Endpoint, LLMClient
from gateways.llm.embedding import Embeddings
from gateways.wechat.clients import WeChatClients
from gateways.wechat.errors import WeChatError
from kit.clock import Clock
from kit.delivery import Sender
from scrm.accounts.service import AccountView
from scrm.assistant.answering import Assistant, Question
from scrm.assistant.ports import Embedder
from scrm.assistant.sources import Knowledge
from scrm.members import queries as members
from scrm.selfservice.tools import TOOLS
from web import metrics


class _Counted:
    """Counts what the model's client and the assistant report."""

    def on_call(self, what: str, outcome: str, seconds: float) -> None:
        metrics.MODEL_CALLS.labels(what, outcome).inc()
        metrics.MODEL_SECONDS.observe(seconds)

    def answered(self, outcome: str, reason: str, cost_micro: int) -> None:
        metrics.ASSISTANT_ANSWERS.labels(outcome, reason).inc()
        metrics.MODEL_COST.inc(cost_micro / 1_000_000)


COUNTED = _Counted()
STALE = 61010  # the person was not in the mini-program lately


def endpoint_of(settings: Settings) -> Endpoint | None:
    """Return where the model is; None when none is set."""
    if not settings.llm_base_url or not settings.llm_model:
        return None
    return Endpoint(
        settings.llm_base_url,
        settings.llm_model,
        settings.llm_api_key,
        embedding_model=settings.llm_embedding_model or None,
        price_in=settings.llm_price_in,
        price_out=settings.llm_price_out,
    )


async def open_model(settings: Settings, stack: AsyncExitStack) -> LLMClient | None:
    """Open the client of the model, closed with the stack; nothing is sent yet."""
    endpoint = endpoint_of(settings)
    if endpoint is None:
        return None
    client = LLMClient(endpoint, concurrency=settings.llm_concurrency, observer=COUNTED)
    await client.open()
    stack.push_async_callback(client.close)
    return client


def embedder_of(model: LLMClient | None) -> Embedder | None:
    """Return what turns texts into vectors; None where no model for it is set."""
    return Embeddings(model) if model is not None and model.embeds else None


class Moderation:
    """Asks WeChat's content security about what goes to a mini-program's user.

    The interface knows only people who were in the mini-program within two hours (61010 otherwise), so it says
    nothing about followers of official accounts; for those the words banned by preset and brand have to do.
    """

    def __init__(self, clients: WeChatClients, account_of: Any) -> None:
        self._clients = clients
        self._account_of = account_of

    async def __call__(self, question: Question, text: str) -> bool:
        """Say whether a text may be said. Raises WeChatFailure when nobody could tell."""
        account: AccountView | None = self._account_of(question.account_id)
        if account is None or account.kind != "miniprogram":
            return True
        fan = await members.fan(question.fan_id)
        if fan is None:
            return False
        client = self._clients.for_account(Sender(account.id, account.kind, account.appid, account.secret))
        try:
            judged: dict[str, Any] = await client.security.check_text(fan.openid, text[:2500], scene=2)
        except WeChatError as error:
            if error.errcode == STALE:
                return True
            raise
        return bool(judged.get("result", {}).get("suggest") == "pass")


def compose(
    settings: Settings,
    clock: Clock,
    *,
    model: LLMClient | None,
    knowledge: Knowledge,
    moderation: Moderation,
) -> Assistant:
    """Return the assistant; it serves the brands that have knowledge, and every brand where there is a model."""
    return Assistant(
        clock,
        knowledge=knowledge,
        model=model,
        tools=TOOLS,
        moderate=moderation,
        observer=COUNTED,
        seconds=settings.llm_seconds,
    )

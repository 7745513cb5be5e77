"""What the business refuses, as data: every surface turns the same error into its own kind of answer.

DomainError
├── NotFound        404
├── Conflict        409
├── Invalid         422  names the field
├── Forbidden       403
└── Unavailable     503  a part we stand on is away; try again
"""

from datetime import timedelta


class DomainError(Exception):
    """A refusal with a stable code, an HTTP status and a sentence for people."""

    status = 400
    code = "domain_error"
    title = "请求无法完成"

    def __init__(
        self,
        title: str | None = None,
        *,
        code: str | None = None,
        field: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        self.title = title or type(self).title
        self.code = code or type(self).code
        self.field = field
        # When it makes sense to ask again, where that is known.
        self.retry_after = retry_after
        super().__init__(self.title)


class NotFound(DomainError):  # noqa: N818  # reads as the answer it becomes
    """The thing asked for does not exist, or not for the one who asks."""

    status = 404
    code = "not_found"
    title = "没有找到"


class Conflict(DomainError):  # noqa: N818  # same
    """The request contradicts what is already there."""

    status = 409
    code = "conflict"
    title = "与已有数据冲突"


class Invalid(DomainError):  # noqa: N818  # same
    """A value is not acceptable; `field` names it."""

    status = 422
    code = "invalid"
    title = "输入有误"


class Forbidden(DomainError):  # noqa: N818  # same
    """The one who asks may not do this."""

    status = 403
    code = "forbidden"
    title = "没有权限"


class Unavailable(DomainError):  # noqa: N818  # same
    """The database or another part we stand on does not answer."""

    status = 503
    code = "unavailable"
    title = "服务暂时不可用，请稍后再试"

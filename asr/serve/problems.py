"""Answers to requests that cannot be done, in the shape of OpenAI's errors."""

from typing import Any

from asr._progress import say
from asr.errors import AsrError, AudioError, DecoderError, MissingDependencyError

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
    504: "timeout_error",
}


class RequestError(AsrError):
    """A request that cannot be done: a status of HTTP, and a message for the client.

    Args:
        status: 400..599.
        code: a short name for programs, such as "audio_too_long".
        message: one line for people; it says what to do.
        param: the field of the request that is wrong.
        retry_after: seconds after which to try again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle all arguments: workers send their errors to the server."""
        return _request_error, (self.status, self.code, str(self), self.param, self.retry_after)

    def as_dict(self) -> dict[str, Any]:
        """Return the object that clients get."""
        kind = _TYPES.get(self.status, "invalid_request_error")
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": error}

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to the status."""
        found = {}
        if self.retry_after is not None:
            found["Retry-After"] = str(self.retry_after)
        if self.status == 401:
            found["WWW-Authenticate"] = "Bearer"
        return found


def _request_error(
    status: int, code: str, message: str, param: str | None, retry_after: int | None
) -> RequestError:
    return RequestError(status, code, message, param=param, retry_after=retry_after)


def as_request_error(error: AsrError) -> RequestError:
    """Return the answer to an error of recognition; write errors of the server itself to its log.

    The client can do nothing about these, such as a model that was damaged, and hears no more.
    """
    if isinstance(error, RequestError):
        return error
    if isinstance(error, MissingDependencyError):
        return RequestError(415, "not_installed", str(error))
    if isinstance(error, AudioError):
        return RequestError(400, "invalid_audio", str(error), param="file")
    if isinstance(error, DecoderError):
        return RequestError(400, "invalid_hotwords", str(error), param="prompt")
    say(f"asr-serve: error: {error}")
    return internal_error()


def internal_error() -> RequestError:
    """Return the answer to a mistake of ours: its details are for the log of the server."""
    return RequestError(500, "internal_error", "the server made a mistake; its log says which")

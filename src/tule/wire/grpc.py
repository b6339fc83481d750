"""The gRPC carrier: a generic server over the handler table, on a private Unix socket behind the front."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tule.kernel.access import Access, Principal
from tule.kernel.errors import InvalidArgument, PermissionDenied, TuleError
from tule.wire import errors, transcode
from tule.wire.handlers import HandlerTable
from tule.wire.service import Handler
from tule.wire.splices import Serialized
from tule.wire.surfaces import BOTH_STREAM, CLIENT_STREAM, SERVER_STREAM, UNARY, pb_class

if TYPE_CHECKING:
    import grpc


class Grpc:
    """Answers gRPC calls; methods are looked up, and their APIs loaded, when they are first called.

    A stream holds a thread as long as it is open; calls beyond ``threads`` at once are refused (RESOURCE_EXHAUSTED).
    """

    def __init__(self, table: HandlerTable, access: Access, socket: Path, *, max_body: int, threads: int = 256) -> None:
        self._table = table
        self._access = access
        self._socket = socket
        self._max_body = max_body
        self._threads = threads
        self._server: grpc.Server | None = None

    def start(self) -> None:
        import grpc

        class Generic(grpc.GenericRpcHandler):
            def service(_, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
                return self._method(details.method)

        self._server = grpc.server(
            ThreadPoolExecutor(self._threads, thread_name_prefix="grpc"),
            handlers=[Generic()],
            maximum_concurrent_rpcs=self._threads,
            options=[
                ("grpc.max_receive_message_length", self._max_body),
                ("grpc.max_send_message_length", -1),
                # Clients that keep an idle channel alive must not be taken for attackers.
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        self._server.add_insecure_port(f"unix:{self._socket}")
        self._server.start()

    def stop(self, grace: float = 2.0) -> None:
        if self._server is not None:
            self._server.stop(grace).wait(grace)

    def _method(self, path: str) -> grpc.RpcMethodHandler:
        """A handler for any path: an unknown one answers UNIMPLEMENTED with its own name."""
        import grpc

        try:
            handler = self._table.by_grpc_path(path)
        except Exception as error:
            return self._refusing(errors.known(error))
        # Requests are parsed inside: gRPC itself would call a malformed one an INTERNAL error.
        make, answer = {
            UNARY: (grpc.unary_unary_rpc_method_handler, self._one_to_one),
            SERVER_STREAM: (grpc.unary_stream_rpc_method_handler, self._one_to_many),
            CLIENT_STREAM: (grpc.stream_unary_rpc_method_handler, self._many_to_one),
            BOTH_STREAM: (grpc.stream_stream_rpc_method_handler, self._many_to_many),
        }[handler.method.streaming]
        return make(answer(handler), None, _serialized)

    def _refusing(self, error: TuleError) -> grpc.RpcMethodHandler:
        import grpc

        def refuse(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            _abort(context, error)

        # Of a call of unknown kind nothing is expected and nothing is read.
        return grpc.stream_stream_rpc_method_handler(refuse)

    def _one_to_one(self, handler: Handler) -> Callable[[bytes, Any], Any]:
        def answer(data: bytes, context: grpc.ServicerContext) -> Any:
            with _told(context):
                return _response(handler, self._invoke(handler, data, context))

        return answer

    def _one_to_many(self, handler: Handler) -> Callable[[bytes, Any], Iterator[Any]]:
        def answer(data: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
            with _told(context):
                for each in self._invoke(handler, data, context):
                    yield _response(handler, each)

        return answer

    def _many_to_one(self, handler: Handler) -> Callable[[Iterator[bytes], Any], Any]:
        def answer(stream: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            with _told(context):
                return _response(handler, self._converse(handler, stream, context))

        return answer

    def _many_to_many(self, handler: Handler) -> Callable[[Iterator[bytes], Any], Iterator[Any]]:
        def answer(stream: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            with _told(context):
                for each in self._converse(handler, stream, context):
                    yield _response(handler, each)

        return answer

    def _invoke(self, handler: Handler, data: bytes, context: grpc.ServicerContext) -> Any:
        headers, principal = self._caller(handler, context)
        message = _parsed(handler, data)
        return self._table.invoke(handler, message, principal, host=headers.get("host", ""), headers=headers)

    def _converse(self, handler: Handler, stream: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        headers, principal = self._caller(handler, context)
        requests = (_parsed(handler, data) for data in stream)
        return self._table.converse(handler, requests, principal, host=headers.get("host", ""), headers=headers)

    def _caller(self, handler: Handler, context: grpc.ServicerContext) -> tuple[dict[str, str], Principal]:
        """The headers of a call and who makes it."""
        headers = {
            key: value if isinstance(value, str) else value.decode("latin-1")
            for key, value in context.invocation_metadata()
        }
        if "origin" in headers:
            raise PermissionDenied("A page may not call this server over gRPC", given=headers["origin"][:100])
        # gRPC hides :authority from handlers. No page can get here by a name of its own: no browser speaks this protocol
        # without TLS, and no certificate of ours is for such a name.
        host = headers.get("host", "")
        return headers, self._access.principal_for(headers, {}, method="POST", host=host, path=handler.method.path)


def _parsed(handler: Handler, data: bytes) -> Any:
    from google.protobuf.message import DecodeError

    kind = pb_class(handler.method.request)
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise InvalidArgument(f"The request must be a {kind.DESCRIPTOR.full_name}", given=str(error)) from None


def _response(handler: Handler, result: Any) -> Any:
    return result if isinstance(result, Serialized) else transcode.response_message(handler.method, result)


def _serialized(message: Any) -> bytes:
    return message.data if isinstance(message, Serialized) else bytes(message.SerializeToString())


@contextmanager
def _told(context: grpc.ServicerContext) -> Iterator[None]:
    """Answer an error inside with its status."""
    try:
        yield
    except Exception as error:
        _abort(context, errors.known(error))


# Clients take 8 KiB of trailers, where the message stands twice.
_LONGEST_MESSAGE = 2048
_LONGEST_DETAILS = 4096


def _abort(context: grpc.ServicerContext, error: TuleError) -> None:
    import grpc

    code = getattr(grpc.StatusCode, error.code, grpc.StatusCode.UNKNOWN)
    status = errors.status_message(error, longest=_LONGEST_MESSAGE)
    if status.ByteSize() > _LONGEST_DETAILS:
        del status.details[:]
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, status.message)

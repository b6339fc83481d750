"""The gRPC carrier: a generic server over the handler table, on a private Unix socket behind the front."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tule.kernel.access import Access, Principal
from tule.kernel.errors import TuleError, Unimplemented
from tule.wire import errors, transcode
from tule.wire.handlers import HandlerTable
from tule.wire.service import Handler
from tule.wire.surfaces import BOTH_STREAM, SERVER_STREAM, UNARY, pb_class

if TYPE_CHECKING:
    import grpc


class Grpc:
    """Answers gRPC calls; methods are looked up, and their APIs loaded, when they are first called."""

    def __init__(self, table: HandlerTable, access: Access, socket: Path, *, max_body: int, threads: int = 64) -> None:
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

        options = [("grpc.max_receive_message_length", self._max_body), ("grpc.max_send_message_length", -1)]
        self._server = grpc.server(
            ThreadPoolExecutor(self._threads, thread_name_prefix="grpc"), handlers=[Generic()], options=options
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
            known = errors.known(error)

            def refuse(request: bytes, context: grpc.ServicerContext) -> Any:
                self._abort(context, known)

            return grpc.unary_unary_rpc_method_handler(refuse)
        kind = pb_class(handler.method.request)

        def parse(data: bytes) -> Any:
            return kind.FromString(data)

        def serialize(message: Any) -> bytes:
            return bytes(message.SerializeToString())

        if handler.method.streaming == UNARY:
            return grpc.unary_unary_rpc_method_handler(self._unary(handler), parse, serialize)
        if handler.method.streaming == SERVER_STREAM:
            return grpc.unary_stream_rpc_method_handler(self._stream(handler), parse, serialize)
        if handler.method.streaming == BOTH_STREAM:
            return grpc.stream_stream_rpc_method_handler(self._conversation(handler), parse, serialize)
        name = handler.method.full_name

        def refuse_stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            self._abort(context, Unimplemented(f"Tule does not do client streams, so not {name}"))

        return grpc.stream_unary_rpc_method_handler(refuse_stream)

    def _unary(self, handler: Handler) -> Callable[[Any, Any], Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return transcode.response_message(handler.method, self._invoke(handler, request, context))
            except Exception as error:
                self._abort(context, errors.known(error))

        return answer

    def _stream(self, handler: Handler) -> Callable[[Any, Any], Iterator[Any]]:
        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                for each in self._invoke(handler, request, context):
                    yield transcode.response_message(handler.method, each)
            except Exception as error:
                self._abort(context, errors.known(error))

        return answer

    def _conversation(self, handler: Handler) -> Callable[[Iterator[Any], Any], Iterator[Any]]:
        def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                headers, principal = self._caller(handler, context)
                host = headers.get("host", "")
                for each in self._table.converse(handler, requests, principal, host=host, headers=headers):
                    yield transcode.response_message(handler.method, each)
            except Exception as error:
                self._abort(context, errors.known(error))

        return answer

    def _invoke(self, handler: Handler, request: Any, context: grpc.ServicerContext) -> Any:
        headers, principal = self._caller(handler, context)
        return self._table.invoke(handler, request, principal, host=headers.get("host", ""), headers=headers)

    def _caller(self, handler: Handler, context: grpc.ServicerContext) -> tuple[dict[str, str], Principal]:
        """The headers of a call and who makes it."""
        headers = {
            key: value if isinstance(value, str) else value.decode("latin-1")
            for key, value in context.invocation_metadata()
        }
        # The front let in only connections to our own names; gRPC hides :authority from handlers.
        host = headers.get("host", "")
        return headers, self._access.principal_for(headers, {}, method="POST", host=host, path=handler.method.path)

    @staticmethod
    def _abort(context: grpc.ServicerContext, error: TuleError) -> None:
        import grpc
        from google.rpc import status_pb2

        code = getattr(grpc.StatusCode, error.code, grpc.StatusCode.UNKNOWN)
        status = status_pb2.Status(code=errors.number(error.code), message=error.message)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, error.message)

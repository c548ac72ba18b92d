"""`tpc lsp`: the language server, over standard input and output.

It answers from the text as it is at a key stroke: what is wrong with the syntax at once, and what is wrong
with the program a moment after the last one, found beside it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.workspace import ServerTextPosition

from tpc.diagnostics.diagnostic import Diagnostic, legible
from tpc.diagnostics.spans import Span
from tpc.editors.completions import completions
from tpc.editors.layout_text import laid_out
from tpc.editors.open_text import OpenText, RenameError

QUIET = 0.1  # seconds after a key stroke until the whole program is checked
LARGEST_MESSAGE = 1 << 24  # bytes
KINDS = {
    "keyword": types.CompletionItemKind.Keyword,
    "function": types.CompletionItemKind.Function,
    "network": types.CompletionItemKind.Function,
    "option": types.CompletionItemKind.Property,
    "dim": types.CompletionItemKind.Constant,
    "width": types.CompletionItemKind.Constant,
}


class ProgramServer(LanguageServer):
    """The texts that are open, by address."""

    def __init__(self) -> None:
        super().__init__("tpc", version("tpc"), types.TextDocumentSyncKind.Full)
        self.texts: dict[str, OpenText] = {}
        self.waiting: dict[str, asyncio.Task[None]] = {}
        self.checking = asyncio.Lock()

    # places: an editor's are from 0, and count as it was agreed on

    def place(self, opened: OpenText, position: types.Position) -> tuple[int, int]:
        found = self.workspace.position_codec.position_from_client_units(opened.lines, position)
        return found.line + 1, found.character + 1

    def range(self, opened: OpenText, span: Span) -> types.Range:
        def at(line: int, column: int) -> types.Position:
            place = ServerTextPosition(min(line, len(opened.lines)) - 1, column - 1)
            return self.workspace.position_codec.position_to_client_units(opened.lines, place)

        return types.Range(at(span.line, span.column), at(span.end_line, span.end_column))

    def opened(self, uri: str) -> OpenText:
        """Raises JsonRpcInvalidParams for what the editor has not opened."""
        if uri not in self.texts:
            raise JsonRpcInvalidParams(f"{uri[:200]} is not open")
        return self.texts[uri]

    # what is wrong

    def take(self, uri: str, text: str) -> None:
        before = self.texts.get(uri)
        name = PurePosixPath(unquote(urlsplit(uri).path)).name or "program"
        opened = self.texts[uri] = OpenText(name, text) if before is None else before.changed(text)
        self.stop_waiting(uri)
        if opened.syntax_errors:
            self.publish(uri, opened, opened.syntax_errors)
        else:
            self.waiting[uri] = asyncio.get_running_loop().create_task(self.check(uri, opened))

    def stop_waiting(self, uri: str) -> None:
        task = self.waiting.pop(uri, None)
        if task is not None:
            task.cancel()

    async def check(self, uri: str, opened: OpenText) -> None:
        await asyncio.sleep(QUIET)
        async with self.checking:  # one after another: only the last text counts
            if self.texts.get(uri) is opened:
                errors = await asyncio.to_thread(lambda: opened.errors)
        if self.texts.get(uri) is opened:
            self.publish(uri, opened, errors)

    def publish(self, uri: str, opened: OpenText, errors: tuple[Diagnostic, ...]) -> None:
        found = [self.diagnostic(uri, opened, error) for error in errors]
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found))

    def diagnostic(self, uri: str, opened: OpenText, error: Diagnostic) -> types.Diagnostic:
        help_ = f"\nhelp: {error.help}" if error.help else ""
        return types.Diagnostic(
            self.range(opened, error.at.span if error.at else Span(1, 1, 1, 1)),
            legible(error.message + help_),
            severity=types.DiagnosticSeverity.Error,
            code=error.code,
            source="tpc",
            related_information=[
                types.DiagnosticRelatedInformation(
                    types.Location(uri, self.range(opened, label.span)), legible(label.text or "here")
                )
                for label in error.also
            ],
        )


def make_server() -> ProgramServer:
    """The server and what it answers to."""
    server = ProgramServer()
    _follow_texts(server)
    _answer_about_places(server)
    _answer_about_names(server)

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def formatting(params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        opened = server.opened(params.text_document.uri)
        if opened.syntax_errors:
            return None
        whole = Span(1, 1, len(opened.lines), len(opened.lines[-1]) + 1)
        return [types.TextEdit(server.range(opened, whole), laid_out(opened.text, opened.name))]

    return server


def _follow_texts(server: ProgramServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        server.take(params.text_document.uri, params.text_document.text)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        server.opened(params.text_document.uri)
        for change in params.content_changes[-1:]:
            server.take(params.text_document.uri, change.text)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        server.stop_waiting(uri)
        server.texts.pop(uri, None)
        server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))


def _answer_about_places(server: ProgramServer) -> None:
    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def hover(params: types.HoverParams) -> types.Hover | None:
        opened = server.opened(params.text_document.uri)
        text = await asyncio.to_thread(opened.hover, *server.place(opened, params.position))
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text)) if text else None

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["."]))
    def complete(params: types.CompletionParams) -> list[types.CompletionItem]:
        opened = server.opened(params.text_document.uri)
        return [
            types.CompletionItem(
                found.word,
                kind=KINDS.get(found.kind, types.CompletionItemKind.Variable),
                detail=found.kind,
                documentation=found.meaning or None,
                sort_text=f"{k:05}",
            )
            for k, found in enumerate(completions(opened, *server.place(opened, params.position)))
        ]


def _answer_about_names(server: ProgramServer) -> None:
    def locations(
        params: types.DefinitionParams | types.ReferenceParams,
        of: Callable[[OpenText, int, int], Sequence[Span]],
    ) -> list[types.Location]:
        uri = params.text_document.uri
        opened = server.opened(uri)
        spans = of(opened, *server.place(opened, params.position))
        return [types.Location(uri, server.range(opened, span)) for span in spans]

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(params: types.DefinitionParams) -> list[types.Location]:
        return locations(params, OpenText.definition)

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def references(params: types.ReferenceParams) -> list[types.Location]:
        return locations(params, OpenText.places)

    @server.feature(types.TEXT_DOCUMENT_RENAME)
    def rename(params: types.RenameParams) -> types.WorkspaceEdit:
        uri = params.text_document.uri
        opened = server.opened(uri)
        try:
            spans, _ = opened.renamed(*server.place(opened, params.position), params.new_name)
        except RenameError as refused:
            raise JsonRpcInvalidParams(str(refused)) from None
        edits = [types.TextEdit(server.range(opened, span), params.new_name) for span in spans]
        return types.WorkspaceEdit({uri: edits})


class BoundedInput:
    """Standard input, of which no message is taken that no editor would send."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def readline(self) -> bytes:
        return self.stream.readline(1 << 16)

    def read(self, count: int) -> bytes:
        if count <= LARGEST_MESSAGE:
            return self.stream.read(count)
        while count > 0 and (part := self.stream.read(min(count, 1 << 16))):
            count -= len(part)
        return b"null"


def serve() -> None:
    """Runs the server until its editor is gone.

    Messages alone go to standard output, what anything prints to standard error. Of requests that fail
    nothing is logged there, where an editor that does not read it would stop the server: they are answered.
    """
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as out, redirect_stdout(sys.stderr):
        make_server().start_io(cast(Any, BoundedInput(sys.stdin.buffer)), out)

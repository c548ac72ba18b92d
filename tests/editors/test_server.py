"""The language server, spoken with by a real client over standard input and output."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

ROOT = Path(__file__).parents[2]
URI = "file:///somewhere/my%20net.tp"
TEXT = """width n
dim T = 3
input ξ[t < T] = 1, y[t < T] = -1   # 𝔘 is two units of UTF-16
activation φ = tanh
weight U : n x 1
weight W : n x n
weight V : 1 x n
network f(x):
    h = W @ φ(U @ x)
    return V @ φ(h)
train f for t < T:
    batch (ξ[t], y[t])
    loss mse
    update sgd(lr = 1)
output loss
output K = mean(f.h(1)*f.h(1))
"""
ARGUMENTS = ["-c", "from tpc.cli.main import entry; entry()", "lsp"]
SOON = 30.0  # seconds in which anything is to be answered on a machine that has other things to do


class Editor:
    """A client, with a loop of its own that runs while it waits."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.client = LanguageClient("editor", "1")
        self.published = {}
        self.version = 0

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def publish(params):
            self.published[params.uri] = list(params.diagnostics)

        self.wait(self.client.start_io(sys.executable, *ARGUMENTS, cwd=ROOT))
        self.wait(
            self.client.initialize_async(
                types.InitializeParams(capabilities=types.ClientCapabilities(), process_id=None)
            )
        )
        self.client.initialized(types.InitializedParams())

    def wait(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, SOON))

    def open(self, text, uri=URI):
        item = types.TextDocumentItem(uri, "tp", 0, text)
        self.published.pop(uri, None)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(self, text, uri=URI):
        self.version += 1
        self.published.pop(uri, None)
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(self.version, uri),
                [types.TextDocumentContentChangeWholeDocument(text)],
            )
        )

    def diagnostics(self, uri=URI):
        async def there():
            while uri not in self.published:
                await asyncio.sleep(0.002)
            return self.published[uri]

        return self.wait(there())

    def at(self, kind, word, text=TEXT, uri=URI, **rest):
        """Asks at the place of `word`, which has a `|` where the cursor is."""
        before, after = word.split("|")
        offset = text.index(before + after) + len(before)
        line = text.count("\n", 0, offset)
        character = len(text[text.rfind("\n", 0, offset) + 1 : offset].encode("utf-16-le")) // 2
        ask = getattr(self.client, f"text_document_{kind}_async")
        params = {
            "hover": types.HoverParams,
            "definition": types.DefinitionParams,
            "references": types.ReferenceParams,
            "rename": types.RenameParams,
            "completion": types.CompletionParams,
        }[kind]
        return self.wait(
            ask(
                params(
                    text_document=types.TextDocumentIdentifier(uri),
                    position=types.Position(line, character),
                    **rest,
                )
            )
        )


@pytest.fixture(scope="module")
def editor():
    made = Editor()
    yield made
    made.wait(made.client.shutdown_async(None))
    made.client.exit(None)
    made.wait(made.client.stop())
    made.loop.close()


def test_what_is_wrong_is_shown_as_one_types(editor):
    editor.open(TEXT)
    assert editor.diagnostics() == []
    editor.change(TEXT.replace("V @ φ(h)", "V @ φ(h"))
    (syntax,) = editor.diagnostics()
    assert syntax.code == "TP005"
    assert syntax.source == "tpc"
    editor.change(TEXT.replace("mean(f.h(1)*f.h(1))", "mean(1/gone)"))
    (unknown,) = editor.diagnostics()
    assert "gone" in unknown.message
    editor.change(TEXT.replace("sgd(lr = 1)", "sgd(rl = 1)"))
    assert "\nhelp: " in editor.diagnostics()[0].message
    assert (unknown.range.start.character, unknown.range.end.character) == (18, 22)
    editor.change(TEXT)
    assert editor.diagnostics() == []


def test_hover_has_the_formula_and_the_meaning(editor):
    editor.open(TEXT)
    text = editor.at("hover", "|h = W @").contents.value
    assert "**h**: value, declared in line 9" in text
    assert "Z^" in text
    assert "Ẑ" in text
    assert "(ZHat)" in text
    weight = editor.at("hover", "weight |W").contents.value
    assert "**W**: weight" in weight
    assert "parameters, random at first and trained" in weight
    assert "coordinate by coordinate" in editor.at("hover", "= ta|nh").contents.value
    assert "(f − y)²/2" in editor.at("hover", "loss m|se").contents.value
    assert "numbers given at run time" in editor.at("hover", "# 𝔘 is| two").contents.value


def test_definition_and_references(editor):
    editor.open(TEXT)
    (place,) = editor.at("definition", "f.|h(1)*")
    assert (place.range.start.line, place.range.start.character, place.range.end.character) == (8, 4, 5)
    (place,) = editor.at("definition", "V @ |φ(h)")
    assert place.range.start.line == 3
    found = editor.at("references", "|h = W", context=types.ReferenceContext(True))
    assert [(p.range.start.line, p.range.start.character) for p in found] == [
        (8, 4),
        (9, 17),
        (15, 18),
        (15, 25),
    ]
    (place,) = editor.at("definition", "(U @ |x)")
    assert place.range.start.line == 7
    assert editor.at("definition", "|mse") == []


def apply(text, edits):
    lines = [line.encode("utf-16-le") for line in text.split("\n")]
    for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
        line = lines[edit.range.start.line]
        start, end = 2 * edit.range.start.character, 2 * edit.range.end.character
        lines[edit.range.start.line] = line[:start] + edit.new_text.encode("utf-16-le") + line[end:]
    return "\n".join(line.decode("utf-16-le") for line in lines)


def test_rename(editor):
    editor.open(TEXT)
    made = apply(TEXT, editor.at("rename", "|h = W", new_name="hidden").changes[URI])
    assert made == TEXT.replace("h = W", "hidden = W").replace("φ(h)", "φ(hidden)").replace(".h(", ".hidden(")
    made = apply(TEXT, editor.at("rename", "input |ξ", new_name="data").changes[URI])
    assert made == TEXT.replace("ξ", "data")
    made = apply(TEXT, editor.at("rename", "|T = 3", new_name="steps").changes[URI])
    assert made == TEXT.replace("T ", "steps ").replace("T]", "steps]").replace("T:", "steps:")


@pytest.mark.parametrize("name", ["U", "x", "width", "1x", "a b", "", "tanh(", "x" * 300_000])
def test_names_that_cannot_be_given(editor, name):
    editor.open(TEXT)
    where = "|h = W" if name == "x" else "weight |W"
    with pytest.raises(JsonRpcException, match=r"cannot be a name|something else|would be wrong"):
        editor.at("rename", where, new_name=name)


def words(found):
    return [item.label for item in found]


def test_completion(editor):
    editor.open(TEXT)
    assert words(editor.at("completion", "mean(f.|h(1)")) == ["h"]
    assert words(editor.at("completion", "loss |mse"))[:2] == ["mse", "xent"]
    found = words(editor.at("completion", "return |V"))
    assert {"U", "W", "V", "h", "x", "phi", "tanh", "relu", "mean"} <= set(found)
    assert "weight" not in found
    broken = TEXT + "wei"
    editor.change(broken)
    found = words(editor.at("completion", "\nwei|", broken))
    assert {"weight", "output", "U"} <= set(found)
    assert words(editor.at("completion", "lr = |1)", broken))[0] == "lr"
    assert words(editor.at("completion", "# 𝔘| is", broken)) == []


def test_formatting(editor):
    editor.open(TEXT.replace(" = ", "="))
    edits = editor.wait(
        editor.client.text_document_formatting_async(
            types.DocumentFormattingParams(
                types.TextDocumentIdentifier(URI), types.FormattingOptions(tab_size=4, insert_spaces=True)
            )
        )
    )
    assert edits[0].new_text.split("\n")[1] == "dim T = 3"
    assert edits[0].range.start == types.Position(0, 0)


def big(lines=300):
    parts = ["width n", "dim T = 4, d = 3", "input eta = 0.5"]
    for k in range((lines - len(parts)) // 13 + 1):
        parts += [
            f"input xi{k}[t < T, d], y{k}[t < T]",
            *(
                f"weight {name}{k} : {sides}"
                for name, sides in (("U", "n x d"), ("W", "n x n"), ("V", "1 x n"))
            ),
            f"network f{k}(x):",
            f"    h = U{k} @ x",
            f"    z = W{k} @ tanh(h)",
            f"    return V{k} @ tanh(z)",
            f"train f{k} as r{k} for t < T:",
            f"    batch (xi{k}[t], y{k}[t])",
            "    loss mse",
            "    update sgd(lr = eta)",
            f"output loss{k}[t] = r{k}.loss[t] for t < T",
        ]
    return "\n".join(parts[:-1]) + "\n"


def test_answers_after_a_key_stroke_on_300_lines(editor):
    """The median over key strokes; printed, and held to what a busy machine may take."""
    text, uri = big(), "file:///big.tp"
    assert text.count("\n") >= 300
    editor.open(text, uri)
    assert editor.diagnostics(uri) == []
    waited = {"completion": [], "diagnostics": []}
    for k in range(5):
        typed = text + f"output q{k} = mean(U"
        begin = time.perf_counter()
        editor.change(typed, uri)
        found = words(editor.at("completion", "mean(U|", typed, uri))
        waited["completion"].append(time.perf_counter() - begin)
        assert "U1" in found
        begin = time.perf_counter()
        editor.change(typed + "@", uri)
        (wrong, *_) = editor.diagnostics(uri)
        waited["diagnostics"].append(time.perf_counter() - begin)
        assert wrong.code.startswith("TP0")
    editor.change(text, uri)
    assert editor.diagnostics(uri) == []
    medians = {kind: sorted(times)[len(times) // 2] for kind, times in waited.items()}
    print({kind: f"{1000 * t:.0f} ms" for kind, t in medians.items()})
    assert max(medians.values()) < 1.0


def frame(body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(data), data)


HELLO = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}, "processId": None}}
OPEN = {"uri": "file:///a.tp", "languageId": "tp", "version": 1, "text": "width n\n"}
PLACE = {"textDocument": {"uri": "file:///a.tp"}, "position": {"line": 10**9, "character": 10**9}}
RUBBISH = [
    b"rubbish without a head\r\n\r\n",
    frame(b"{"),
    frame(b"[1, 2"),
    frame(b"null"),
    frame(b"\xff\xfe"),
    frame({"jsonrpc": "2.0"}),
    frame({"jsonrpc": "1.0", "id": 1, "method": "initialize"}),
    frame({"jsonrpc": "2.0", "id": 2, "method": "textDocument/hover", "params": "x"}),
    frame({"jsonrpc": "2.0", "id": 3, "method": "no/such", "params": {}}),
    frame({"jsonrpc": "2.0", "id": 4, "method": "textDocument/hover", "params": PLACE}),
    frame({"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"a": [[[[]]]]}}),
    b"Content-Length: -5\r\n\r\n",
    b"x" * 300_000 + b"\r\n",
]


def request(number, method, params=None):
    return frame({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


def messages(stream):
    """What the server sends, as it comes."""
    while head := stream.readline():
        assert head.startswith(b"Content-Length: ")
        while stream.readline().strip():
            pass
        yield json.loads(stream.read(int(head.split()[1])))


def test_a_client_that_sends_rubbish_does_no_harm():
    """After all of it the server still answers, and ends when it is told to."""
    good = [
        frame({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": OPEN}}),
        request(5, "textDocument/hover", PLACE),
        request(6, "textDocument/completion", PLACE),
    ]
    server = subprocess.Popen(
        [sys.executable, *ARGUMENTS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        server.stdin.write(b"".join([frame(HELLO), *RUBBISH, *good]))
        server.stdin.flush()
        answers = {}
        for message in messages(server.stdout):
            answers[message.get("id")] = message
            if {5, 6} <= set(answers):
                break
        assert "result" in answers[1]
        assert "error" in answers[4]  # the text is not open yet
        assert "error" not in answers[5]
        assert "error" not in answers[6]
        server.stdin.write(request(7, "shutdown") + frame({"jsonrpc": "2.0", "method": "exit"}))
        server.stdin.flush()
        assert [m["result"] for m in messages(server.stdout) if m.get("id") == 7] == [None]
        assert server.wait(SOON) == 0
    finally:
        server.kill()


def test_a_message_that_is_too_large_is_passed_over():
    size = (1 << 24) + 1
    large = b"Content-Length: %d\r\n\r\n" % size + b"x" * size
    data = frame(HELLO) + large + request(2, "shutdown") + frame({"jsonrpc": "2.0", "method": "exit"})
    data += b"Content-Length: 99999999999\r\n\r\nx"
    done = subprocess.run(
        [sys.executable, *ARGUMENTS], input=data, capture_output=True, cwd=ROOT, timeout=2 * SOON
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert b'"id":2' in done.stdout.replace(b" ", b"")

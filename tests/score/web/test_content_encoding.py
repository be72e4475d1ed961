"""Bodies that are compressed, in another character set than UTF-8, or declared wrongly; and what browsers ask first."""

from __future__ import annotations

import gzip
import http.client
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tritonclient.http as triton
from starlette.exceptions import HTTPException

from score.web.content_encoding import declared
from tests.nightly import at_night
from tests.score.conftest import Serve, port_of

Ask = Callable[..., tuple[int, dict[str, str], bytes]]
LIMIT = 400_000


def raw_deflate(data: bytes) -> bytes:
    writer = zlib.compressobj(wbits=-15)
    return writer.compress(data) + writer.flush()


@pytest.fixture(scope="module")
def served(survey: Path, serve: Serve) -> Iterator[tuple[Ask, int]]:
    with serve(survey, "--max-bytes", str(LIMIT), "--allow-origins", "https://app.example,http://b:81") as (
        ask,
        process,
    ):
        yield ask, port_of(process)


@pytest.fixture(scope="module")
def ask(served: tuple[Ask, int]) -> Ask:
    return served[0]


@pytest.fixture(scope="module")
def rows(mixed: pd.DataFrame) -> list[dict[str, Any]]:
    held: list[dict[str, Any]] = json.loads(mixed.to_json(orient="records"))
    return [{**row, "note": "Zoë"} for row in held]


@pytest.mark.parametrize(
    "count", [1, at_night(3), 200, 1200]
)  # on the event loop, in a thread, and longer than both take
@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("gzip", lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:])),
        ("identity", bytes),
        ("", bytes),
    ],
)
def test_a_compressed_body_gets_the_answer_of_the_plain_one(
    ask: Ask, rows: list[dict[str, Any]], count: int, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = json.dumps({"data": (rows * 4)[:count]}).encode()
    plain = ask("POST", "/score", body)
    packed = ask("POST", "/score", compress(body), **{"Content-Encoding": coding})
    assert (plain[0], len(body) > LIMIT * 0.3) == (200, count == 1200)
    assert (packed[0], packed[2]) == (plain[0], plain[2])


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "aws-chunked"])
@pytest.mark.parametrize("path", ["/score", "/v2/models/m/infer"])
def test_another_coding_is_a_415_that_names_those_that_are_known(ask: Ask, path: str, coding: str) -> None:
    status, headers, body = ask("POST", path, b"x" * 1000, **{"Content-Encoding": coding})
    assert (status, headers["accept-encoding"]) == (415, "gzip, deflate")
    assert coding in body.decode()


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"data": []}', "the body is no gzip, which the header Content-Encoding declares"),
        (b"", "ends before the gzip in it does"),
        (gzip.compress(b'{"data": []}', mtime=0)[:-5], "ends before the gzip in it does"),
        (gzip.compress(b'{"data": []}', mtime=0) + b"more", "the body is no gzip"),
    ],
)
def test_what_is_not_compressed_as_declared_is_a_400(ask: Ask, body: bytes, detail: str) -> None:
    status, _, answer = ask("POST", "/score", body, **{"Content-Encoding": "gzip"})
    assert (status, detail in json.loads(answer)["detail"]) == (400, True)
    status, _, answer = ask("POST", "/score", zlib.compress(b"1") + b"more", **{"Content-Encoding": "deflate"})
    assert (status, "bytes behind the end" in json.loads(answer)["detail"]) == (400, True)


@pytest.mark.parametrize("size", [LIMIT + 1, 100 * LIMIT])
def test_a_body_that_is_too_long_once_decompressed_is_a_413(ask: Ask, size: int) -> None:
    for coding, compress in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        status, _, answer = ask("POST", "/score", compress(b" " * size), **{"Content-Encoding": coding})
        assert (status, f"longer than {LIMIT} bytes" in json.loads(answer)["detail"]) == (413, True)


def test_no_more_is_decompressed_than_is_allowed() -> None:
    form = declared({b"content-encoding": b"gzip"})
    assert form is not None
    bomb = gzip.compress(b"0" * 10_000) * 2000
    assert form.read(bomb, 10_000) is None
    assert form.read(bomb, 20_000_000) == b"0" * 20_000_000
    with pytest.raises(HTTPException, match="more bytes behind the end of the gzip"):
        form.read(gzip.compress(b"") * 100_000, 10_000)


def test_a_client_of_v2_may_compress(served: tuple[Ask, int], mixed: pd.DataFrame) -> None:
    types = {"age": "INT64", "income": "FP64", "member": "BOOL", "city": "BYTES", "grade": "BYTES", "level": "INT64"}
    frame = mixed[mixed["income"].notna() & mixed["city"].notna()].head(20)
    inputs = []
    for name, kind in {**types, "note": "BYTES"}.items():
        tensor = triton.InferInput(name, [len(frame)], kind)
        values = frame[name].to_numpy()
        dtype: Any = {"BYTES": object, "INT64": "int64"}.get(kind, values.dtype)
        tensor.set_data_from_numpy(values.astype(dtype))
        inputs.append(tensor)
    with triton.InferenceServerClient(f"127.0.0.1:{served[1]}") as client:
        answers = [
            client.infer("m", inputs, request_compression_algorithm=algorithm).as_numpy("probabilities").tolist()
            for algorithm in (None, "gzip", "deflate")
        ]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("charset", ["iso-8859-1", "Latin1", '"windows-1252"', "utf-16", "no-such-charset"])
def test_a_character_set_that_is_not_utf_8_is_named(ask: Ask, rows: list[dict[str, Any]], charset: str) -> None:
    kind = {"Content-Type": f"application/json; charset={charset}"}
    text = json.dumps({"data": rows[:1]}, ensure_ascii=False)
    for body in (text.encode("latin-1"), text.encode(), text.encode("utf-16"), text.encode("utf-16-le")):
        status, _, answer = ask("POST", "/score", body, **kind)
        assert (status, f"charset={charset.strip(chr(34))}" in json.loads(answer)["detail"]) == (415, True)
    assert ask("POST", "/score", json.dumps({"data": rows[:1]}).encode(), **kind)[0] == 200  # ASCII alone


@pytest.mark.parametrize(
    "kind", ["application/json;charset=UTF-8", "application/json; Charset=utf8", "a/b; charset=us-ascii"]
)
def test_utf_8_by_any_name_is_read_and_another_one_in_its_name_is_refused(
    ask: Ask, rows: list[dict[str, Any]], kind: str
) -> None:
    text = json.dumps({"data": rows[:1]}, ensure_ascii=False)
    assert ask("POST", "/score", text.encode(), **{"Content-Type": kind})[0] == 200
    status, _, answer = ask("POST", "/score", text.encode("latin-1"), **{"Content-Type": kind})
    assert (status, b"UTF-8" in answer) == (400, True)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/score", "POST, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
        ("/v2/models/m/infer", "POST, OPTIONS"),
        ("/docs/swagger-ui.css", "GET, HEAD, OPTIONS"),
        ("/page/page.js", "GET, HEAD, OPTIONS"),
    ],
)
def test_options_names_the_methods(ask: Ask, path: str, allowed: str) -> None:
    status, headers, body = ask("OPTIONS", path)
    assert (status, body) == (204, b"")
    assert sorted(headers["allow"].split(", ")) == sorted(allowed.split(", "))
    assert ask("OPTIONS", "/else")[0] == 404


@pytest.mark.parametrize("origin", ["https://app.example", "http://b:81"])
def test_a_browser_may_show_pages_of_the_origins_that_are_allowed(
    ask: Ask, rows: list[dict[str, Any]], origin: str
) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    status, headers, _ = ask("OPTIONS", "/score", Origin=origin, **asked)
    assert (status, headers["access-control-allow-origin"]) == (200, origin)
    assert "authorization" in headers["access-control-allow-headers"]
    assert "POST" in headers["access-control-allow-methods"]
    for body, expected in ((json.dumps({"data": rows[:1]}).encode(), 200), (b"{", 400)):
        status, headers, _ = ask("POST", "/score", body, Origin=origin)
        assert (status, headers["access-control-allow-origin"]) == (expected, origin)
        assert "x-out-of-range" in headers["access-control-expose-headers"].lower()


def test_a_browser_may_not_show_those_of_others(ask: Ask, stub: Path, serve: Serve) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Origin": "https://evil.example"}
    status, headers, _ = ask("OPTIONS", "/score", **asked)
    assert (status, "access-control-allow-origin" in headers) == (400, False)
    with serve(stub, "--keys", "keys.json") as (plain, _):
        status, headers, _ = plain("OPTIONS", "/score", **asked)
        assert (status, "access-control-allow-origin" in headers) == (204, False)
    with serve(stub, "--keys", "keys.json", "--allow-origins", "*") as (every, _):
        status, headers, _ = every("OPTIONS", "/score", **asked)  # which is asked without the key
        assert (status, headers["access-control-allow-origin"]) == (200, "*")
        status, headers, _ = every("POST", "/score", Origin="https://evil.example")
        assert (status, headers["access-control-allow-origin"]) == (401, "*")


def test_options_of_the_whole_server(served: tuple[Ask, int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served[1], timeout=20)
    connection.request("OPTIONS", "*")
    response = connection.getresponse()
    assert response.status in (204, 404)
    connection.close()

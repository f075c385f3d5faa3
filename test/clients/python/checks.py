"""Checks of the official Python client, run against a gateway by ../python.test.ts.

OPENAI_BASE_URL and OPENAI_API_KEY are the gateway's, as a user would set them; SANDBOX is the fake upstream's own
address, where faults are ordered and where what happened is asked. The last line printed is a JSON object: the
outcome of each check by its name, "ok" or a traceback.
"""

import asyncio
import base64
import hashlib
import io
import json
import os
import tempfile
import threading
import time
import traceback
import urllib.request

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

SANDBOX = os.environ["SANDBOX"]
MODEL = "gpt-4o-mini"
client = OpenAI(max_retries=0)
checks = []


def check(function):
    checks.append(function)
    return function


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(SANDBOX + path, data=data, method=method, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def fault(name, times, path="/v1/chat/completions"):
    control("POST", "/sandbox/faults", {"match": {"path": path}, "fault": name, "times": times})


def say(text):
    return [{"role": "user", "content": text}]


def raised(kind, function):
    """The exception of a kind that a call raises; a call that succeeds fails the check."""
    try:
        function()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}")


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s"
        time.sleep(0.01)


@check
def chat():
    answer = client.chat.completions.create(model=MODEL, messages=say("Where is Bari?"))
    assert "Bari" in answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id.startswith("req_")


@check
def chat_stream():
    whole = client.chat.completions.create(model=MODEL, messages=say("Sing"))
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(model=MODEL, messages=say("Sing"), **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    with client.chat.completions.stream(model=MODEL, messages=say("Sing")) as stream:
        assert stream.get_final_completion().choices[0].message.content == text


@check
def tools_and_schema():
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}
    answer = client.chat.completions.create(model=MODEL, messages=say("The weather in Rome and Pisa"), tools=[tool])
    calls = answer.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Rome", "Pisa"]

    class Book(BaseModel):
        title: str
        pages: int

    parsed = client.chat.completions.parse(model=MODEL, messages=say("A book"), response_format=Book)
    assert isinstance(parsed.choices[0].message.parsed, Book)


@check
def responses():
    answer = client.responses.create(model=MODEL, input="What is a weir?")
    assert "weir" in answer.output_text
    events = list(client.responses.create(model=MODEL, input="What is a weir?", stream=True))
    assert events[-1].type == "response.completed"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == answer.output_text
    assert client.responses.retrieve(answer.id).output_text == answer.output_text
    assert len(list(client.responses.input_items.list(answer.id))) == 1
    client.responses.delete(answer.id)
    raised(openai.NotFoundError, lambda: client.responses.retrieve(answer.id))
    waiting = client.responses.create(model=MODEL, input="Slowly", background=True)
    assert client.responses.cancel(waiting.id).status == "cancelled"


@check
def embeddings():
    usual = client.embeddings.create(model="text-embedding-3-small", input=["sea", "land"])
    floats = client.embeddings.create(model="text-embedding-3-small", input="sea", encoding_format="float")
    assert len(usual.data) == 2 and len(usual.data[0].embedding) == 1536
    assert max(abs(a - b) for a, b in zip(usual.data[0].embedding, floats.data[0].embedding)) < 1e-6


@check
def models_and_moderations():
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve("ft:gpt-4o-mini:a/b").id == "ft:gpt-4o-mini:a/b"
    assert client.moderations.create(input="I will kill you").results[0].flagged


@check
def files():
    content = bytes(range(256)) * 20_000
    made = client.files.create(file=("all bytes.bin", content), purpose="user_data")
    assert made.bytes == len(content) and made.sha256 == hashlib.sha256(content).hexdigest()
    assert client.files.content(made.id).read() == content
    with client.files.with_streaming_response.content(made.id) as answer:
        assert b"".join(answer.iter_bytes(65536)) == content
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(content)
        file.flush()
        with open(file.name, "rb") as opened:
            assert client.files.create(file=opened, purpose="assistants").bytes == len(content)
    assert len(list(client.files.list(limit=1))) == 2
    assert client.files.delete(made.id).deleted


@check
def upload_in_parts():
    content = os.urandom(1_500_000)
    done = client.uploads.upload_file_chunked(
        file=content, filename="a.bin", bytes=len(content), mime_type="application/octet-stream", purpose="batch", part_size=600_000
    )
    assert done.status == "completed" and done.file.sha256 == hashlib.sha256(content).hexdigest()


@check
def images_and_audio():
    image = client.images.generate(model="gpt-image-1", prompt="a mole")
    assert base64.b64decode(image.data[0].b64_json)[1:4] == b"PNG"
    edited = client.images.edit(model="gpt-image-1", prompt="more", image=[("a.png", b"1" * 5000), ("b.png", b"2" * 5000)])
    assert len(edited.data) == 1
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="Hello all", response_format="wav") as sound:
        wav = b"".join(sound.iter_bytes())
    assert wav[:4] == b"RIFF"
    text = client.audio.transcriptions.create(model="whisper-1", file=("hello.wav", io.BytesIO(wav))).text
    assert f"{len(wav)} bytes" in text


@check
def batches_and_vector_stores():
    line = json.dumps({"custom_id": "q", "method": "POST", "url": "/v1/embeddings", "body": {"model": "text-embedding-3-small", "input": "x"}})
    file = client.files.create(file=("in.jsonl", line.encode()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    done = client.batches.retrieve(batch.id)
    assert done.request_counts.completed == 1
    assert '"custom_id":"q"' in client.files.content(done.output_file_id).text
    store = client.vector_stores.create(name="shelf")
    client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("a.txt", b"The otter swims in the river"), poll_interval_ms=5)
    assert client.vector_stores.search(store.id, query="otter river").data[0].filename == "a.txt"


@check
def assistants():
    assistant = client.beta.assistants.create(model=MODEL)
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "Geese"}])
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=5)
    assert run.status == "completed"
    with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        stream.until_done()
        assert "Geese" in stream.get_final_messages()[0].content[0].text.value


@check
def error_classes():
    kinds = {
        "fault-400": openai.BadRequestError,
        "fault-403": openai.PermissionDeniedError,
        "no-such-model": openai.NotFoundError,
        "fault-409": openai.ConflictError,
        "fault-422": openai.UnprocessableEntityError,
        "fault-429": openai.RateLimitError,
        "fault-500": openai.InternalServerError,
        "fault-reset": openai.InternalServerError,
    }
    for model, kind in kinds.items():
        for stream in (False, True):
            error = raised(kind, lambda: client.chat.completions.create(model=model, messages=say("x"), stream=stream))
            assert error.request_id, model
    error = raised(openai.AuthenticationError, lambda: client.with_options(api_key="sk-wrong").models.list())
    assert error.code == "invalid_api_key" and error.status_code == 401
    error = raised(openai.InternalServerError, lambda: client.chat.completions.create(model="fault-401", messages=say("x")))
    assert error.code == "upstream_auth_failed"
    raised(openai.APIConnectionError, lambda: client.with_options(base_url="http://127.0.0.1:9/v1").models.list())
    raised(openai.APITimeoutError, lambda: client.with_options(timeout=0.2).chat.completions.create(model="fault-silence", messages=say("x")))


@check
def retries():
    patient = client.with_options(max_retries=2)
    fault("fault-429-retry-after-ms-20", 1)
    raw = patient.chat.completions.with_raw_response.create(model=MODEL, messages=say("x"))
    assert raw.retries_taken == 1 and raw.headers["x-headgate-id"].startswith("hgx_")
    fault("fault-500", 1)
    raw = patient.chat.completions.with_raw_response.create(model=MODEL, messages=say("x"))
    assert raw.retries_taken == 1 and raw.parse().choices[0].message.content
    fault("fault-silence", 1)
    assert patient.with_options(timeout=0.5).chat.completions.create(model=MODEL, messages=say("x")).choices


@check
def broken_streams():
    for model in ("fault-cut-3", "fault-cut-reset-3", "fault-malformed-http-body"):
        stream = client.chat.completions.create(model=model, messages=say("x"), stream=True)
        assert raised(openai.APIError, lambda: list(stream)).code == "upstream_unavailable"
        events = client.responses.create(model=model, input="x", stream=True)
        raised(openai.APIError, lambda: list(events))


def last_ending():
    rows = control("GET", "/sandbox/books")["data"]
    return [row["ended"] for row in rows if row["path"].startswith("/v1/")][-1]


@check
def leaving():
    control("POST", "/sandbox/latency", {"chunkDelayMs": 20})
    try:
        stream = client.chat.completions.create(model="sandbox-tokens-500", messages=say("x"), stream=True)
        next(iter(stream))
        stream.close()
        wait_for(lambda: last_ending() == "aborted", 1)
    finally:
        control("POST", "/sandbox/latency", {"chunkDelayMs": 0})


@check
def threads_share_a_client():
    wrong = []

    def ask(index):
        answer = client.chat.completions.create(model=MODEL, messages=say(f"Caller {index} here"))
        if f"Caller {index} here" not in answer.choices[0].message.content:
            wrong.append(index)

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@check
def async_client():
    async def ask(remote, index):
        stream = await remote.chat.completions.create(model=MODEL, messages=say(f"Caller {index} here"), stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        return f"Caller {index} here" in text

    async def run():
        async with AsyncOpenAI(max_retries=0) as remote:
            assert all(await asyncio.gather(*(ask(remote, index) for index in range(40))))
            answer = await remote.responses.create(model=MODEL, input="Otters")
            assert "Otters" in answer.output_text
            assert [model.id async for model in remote.models.list()]
            try:
                await asyncio.wait_for(remote.chat.completions.create(model="fault-silence", messages=say("x")), 0.2)
            except asyncio.TimeoutError:
                return
            raise AssertionError("expected a time-out")

    asyncio.run(run())


def outcome(function):
    try:
        function()
    except Exception:
        return traceback.format_exc()
    return "ok"


print(json.dumps({function.__name__: outcome(function) for function in checks}))

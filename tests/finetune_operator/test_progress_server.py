"""Reports over real TLS, from pods that are who they say and from pods that are not."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import tracemalloc
from contextlib import suppress

import pytest

from fakes import Fault
from finetune_api import meta
from finetune_api.errors import ClusterError
from finetune_operator import progress_server
from finetune_operator.kinds import POD, Ref
from finetune_operator.progress_server import ProgressServer
from reporting import KEY, Place, a_report, an_object, at_a_server


def test_a_report_reaches_the_status() -> None:
    async def test(place: Place) -> None:
        assert await place.post() == 200
        await place.reports.flush()
        progress = place.cluster.status(place.job).progress
        assert progress is not None
        assert (progress.step, progress.total_steps, progress.percent, progress.loss, progress.eta) == (10, 100, 5, 1.25, "1m")

    place = at_a_server(test)
    assert place.results == {"taken": 1}
    assert place.flushed == {"written": 1}


def test_a_token_is_reviewed_once_a_minute_and_its_pod_looked_up_once() -> None:
    async def test(place: Place) -> None:
        for second in range(10):
            assert await place.post(a_report(second=second)) == 200
        assert place.cluster.calls.count("review_token") == 1
        assert sum(call.startswith("get Pod") for call in place.cluster.calls) == 1
        place.clock.pass_by(seconds=61)
        assert await place.post(a_report(second=20)) == 200
        assert place.cluster.calls.count("review_token") == 2

    at_a_server(test)


def test_forged_foreign_and_missing_tokens_are_refused_and_have_no_effect() -> None:
    async def test(place: Place) -> None:
        assert await place.post(token="forged") == 401
        assert await place.post(token=place.a_token("support-train-1-0", audiences=("api",))) == 401
        assert await place.post(token=place.a_token("support-train-1-0", namespace="elsewhere")) == 403
        assert place.reports.newest(KEY) is None

    place = at_a_server(test)
    assert place.results == {"not_authenticated": 2, "not_a_member": 1}


def test_a_pod_of_another_job_or_with_made_up_labels_is_refused() -> None:
    async def test(place: Place) -> None:
        place.cluster.submit("other")
        assert await place.post(job="other") == 403, "its own token, another job"
        assert await place.post(token=place.a_pod("support-train-7", attempt="7", owner="somebody")) == 403
        place.cluster.put(an_object("v1", "Pod", "mole", dict(TRAIN), "nobody"))
        assert await place.post(token=place.a_token("mole")) == 403, "labels alone make no member"
        assert place.reports.newest(KEY) is None

    at_a_server(test)


TRAIN = {meta.JOB_LABEL: "support", meta.STAGE_LABEL: "train", meta.ATTEMPT_LABEL: "1"}


def test_the_token_of_a_pod_that_was_replaced_is_refused() -> None:
    async def test(place: Place) -> None:
        place.cluster.objects[Ref(POD, "ml", "support-train-1-0")]["metadata"]["uid"] = "another"
        assert await place.post() == 403

    at_a_server(test)


def test_bodies_that_are_too_large_or_no_report_are_refused() -> None:
    async def test(place: Place) -> None:
        assert await place.post(raw=b"x" * (64 * 1024 + 1)) == 413
        assert await place.post({"trainerStatus": {"progressPercentage": 5}}) == 422
        assert await place.post(raw=b"[") == 422
        assert await place.post() == 200, "the next one is not held against them"

    place = at_a_server(test)
    assert place.results == {"too_large": 1, "not_understood": 2, "taken": 1}


def test_numbers_that_are_none_are_dropped_and_the_rest_is_kept() -> None:
    async def test(place: Place) -> None:
        assert await place.post(a_report(loss=float("nan"))) == 200
        newest = place.reports.newest(KEY)
        assert newest is not None
        assert (newest.step, newest.loss) == (10, None)

    at_a_server(test)


def test_one_job_that_reports_too_often_is_held_back_and_others_are_not() -> None:
    async def test(place: Place) -> None:
        other = place.cluster.submit("other")
        owner = place.cluster.objects[other]["metadata"]["uid"]
        token = place.a_pod("other-train-1", attempt="1", job="other", owner=owner)
        assert [await place.post() for _ in range(6)] == [200, 200, 200, 429, 429, 429]
        assert await place.post(job="other", token=token) == 200
        place.clock.pass_by(seconds=1)
        assert await place.post() == 200

    at_a_server(test, per_second=1.0, burst=3)


def test_too_many_connections_of_one_address_are_cut_off() -> None:
    async def test(place: Place) -> None:
        context = ssl.create_default_context(cadata=place.certificates.trusted)
        held = []
        for _ in range(4):
            held.append(await asyncio.open_connection("localhost", place.port, ssl=context, server_hostname="localhost"))
        for _ in range(4):
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("localhost", place.port, ssl=context, server_hostname="localhost")
        assert place.cut == {"too_many_of_one": 4}, "before TLS has cost anything"
        for _, writer in held:
            writer.close()
        while place.cut["no_request"] < 4:  # what they wanted nobody knows  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert await place.post() == 200, "room again"
        assert place.cut == {"too_many_of_one": 4, "no_request": 4}

    at_a_server(test, connections=(100, 4))


def test_where_all_places_are_taken_the_one_that_said_nothing_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_server, "_HANDSHAKE_SECONDS", 120.0)  # who shakes no hands is there to the end

    async def test(place: Place) -> None:
        context = ssl.create_default_context(cadata=place.certificates.trusted)
        silent = [await asyncio.open_connection("localhost", place.port, ssl=context, server_hostname="localhost")]
        for _ in range(3):
            silent.append(await asyncio.open_connection("localhost", place.port))  # not even TLS
        assert await place.post() == 200
        assert await silent[0][0].read() == b""
        assert place.cut == {"made_room": 1}
        assert await place.post(a_report(second=1)) == 200, "the trainer's own place was free again"
        assert place.cut == {"made_room": 1}
        silent.append(await asyncio.open_connection("localhost", place.port))
        assert await place.post(a_report(second=2)) == 200
        assert await silent[1][0].read() == b"", "while it still had to shake hands"
        for _, writer in silent:
            writer.close()

    place = at_a_server(test, connections=(4, 100))
    assert place.results == {"taken": 3}


def test_whoever_asked_for_what_it_did_not_get_makes_room_too() -> None:
    """A request that is refused costs its sender nothing: many pods that send one and stay would keep every trainer out."""

    async def test(place: Place) -> None:
        context = ssl.create_default_context(cadata=place.certificates.trusted)
        refused = []
        for _ in range(4):
            refused.append(await asyncio.to_thread(a_connection_that_stays, place.port, context, NO_TOKEN))
        assert await place.post() == 200
        assert place.cut == {"made_room": 1}
        for connection in refused:
            connection.close()

    place = at_a_server(test, connections=(4, 100))
    assert place.results == {"no_token": 4, "taken": 1}


def test_a_place_is_free_soon_after_the_answer_whatever_its_holder_does() -> None:
    async def test(place: Place) -> None:
        context = ssl.create_default_context(cadata=place.certificates.trusted)
        body = json.dumps(a_report()).encode()
        report = NO_TOKEN.replace(b"\r\n\r\n", f"\r\nConnection: close\r\nAuthorization: Bearer {place.token}\r\n\r\n".encode())
        report = report.replace(b"Content-Length: 0", f"Content-Length: {len(body)}".encode()) + body
        kept = await asyncio.to_thread(a_connection_that_stays, place.port, context, report)
        answers = []
        async with asyncio.timeout(60):
            while 200 not in answers:
                with suppress(OSError):
                    answers.append(await place.post(a_report(second=1)))
                await asyncio.sleep(0.1)
        kept.close()

    at_a_server(test, connections=(1, 100))


NO_TOKEN = f"POST {meta.PROGRESS_PATH.format(namespace='ml', name='support')} HTTP/1.1\r\n".encode()
NO_TOKEN += b"Host: operator\r\nContent-Length: 0\r\n\r\n"


def a_connection_that_stays(port: int, context: ssl.SSLContext, request: bytes) -> ssl.SSLSocket:
    """Sends a request, reads the beginning of the answer, and neither goes nor says that it would."""
    plain = socket.create_connection(("localhost", port), timeout=60)
    connection = context.wrap_socket(plain, server_hostname="localhost")
    connection.sendall(request)
    assert connection.recv(9) == b"HTTP/1.1 "
    return connection


def test_whoever_has_brought_a_report_makes_no_room() -> None:
    async def test(place: Place) -> None:
        context = ssl.create_default_context(cadata=place.certificates.trusted)
        body = json.dumps(a_report()).encode()
        head = f"POST {meta.PROGRESS_PATH.format(namespace='ml', name='support')} HTTP/1.1\r\nHost: operator\r\n"
        head += f"Authorization: Bearer {place.token}\r\nContent-Length: {len(body)}\r\n\r\n"
        kept = []
        for _ in range(2):
            kept.append(await asyncio.open_connection("localhost", place.port, ssl=context, server_hostname="localhost"))
            kept[-1][1].write(head.encode() + body)
            assert (await kept[-1][0].readline()).split()[1] == b"200"
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("localhost", place.port, ssl=context, server_hostname="localhost")
        assert place.cut == {"too_many": 1}

    at_a_server(test, connections=(2, 100))


def test_a_connection_that_says_nothing_is_cut_off() -> None:
    async def test(place: Place) -> None:
        context = ssl.create_default_context(cadata=place.certificates.trusted)
        reader, writer = await asyncio.open_connection("localhost", place.port, ssl=context, server_hostname="localhost")
        writer.write(b"POST / HTTP/1.1\r\nHost: ")
        with suppress(ConnectionResetError):  # where the end came before what was said
            assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()

    place = at_a_server(test, connection_seconds=0.2)
    assert place.cut == {"too_long": 1}


def test_a_connection_takes_little_memory() -> None:
    async def test(place: Place) -> None:
        context = ssl.create_default_context(cadata=place.certificates.trusted)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            opened = [
                await asyncio.open_connection("localhost", place.port, ssl=context, server_hostname="localhost")
                for _ in range(4)
            ]
            held = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        for _, writer in opened:
            writer.close()
        assert held / len(opened) < 256 * 1024, "both ends, of which asyncio alone would set 512 KiB aside"

    at_a_server(test)


def test_a_server_that_lets_nobody_in_any_more_says_so() -> None:
    """A defect: here in what counts connections that were turned away. The process ends with it, or it would look alive."""

    def count(reason: str) -> None:
        raise ValueError(reason)

    async def body() -> None:
        place = Place()
        server = ProgressServer(
            place.members, place.reports, monotonic=place.clock.monotonic, count_refused=count, connections=(9, 0)
        )
        await place.certificates.look()
        port = await server.start("127.0.0.1", 0, place.certificates.context)
        broken = asyncio.create_task(server.until_broken())
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(ValueError, match="too_many_of_one"):
            await asyncio.wait_for(broken, 60)
        writer.close()
        await server.stop()

    asyncio.run(body())


def test_an_api_server_that_does_not_answer_is_no_refusal_of_the_token() -> None:
    async def test(place: Place) -> None:
        place.cluster.fault = Fault(len(place.cluster.calls) + 1, "before", ClusterError)
        assert await place.post() == 503
        assert await place.post() == 200

    at_a_server(test)

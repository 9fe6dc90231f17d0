"""Whom pods trust, and that they always do: the authority, its successor, the server's certificate."""

from __future__ import annotations

import asyncio

import pytest

from fakes import Clock, FakeCluster
from finetune_api.errors import ClusterError
from finetune_operator.kinds import CONFIG_MAP, SECRET, Ref
from finetune_operator.tls import Certificates
from reporting import Place, at_a_server


def test_every_namespace_is_told_whom_to_trust_and_only_once() -> None:
    async def test(place: Place) -> None:
        for _ in range(3):
            await place.certificates.publish("ml")
        assert place.cluster.objects[Ref(CONFIG_MAP, "ml", "finetune-ca")]["data"] == {"ca.crt": place.certificates.trusted}
        assert [call.split()[0] for call in place.cluster.calls if "ConfigMap" in call] == ["get", "create"]

    at_a_server(test)


def test_a_stranger_s_config_map_is_left_alone() -> None:
    async def test(place: Place) -> None:
        stranger = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "finetune-ca", "namespace": "ml"}}
        place.cluster.put({**stranger, "data": {"theirs": "1"}})
        with pytest.raises(ClusterError, match="belongs to somebody else"):
            await place.certificates.publish("ml")
        assert place.cluster.objects[Ref(CONFIG_MAP, "ml", "finetune-ca")]["data"] == {"theirs": "1"}

    at_a_server(test)


def test_two_replicas_share_one_authority() -> None:
    async def test(place: Place) -> None:
        arguments = (place.cluster, place.certificates.secret, "finetune-ca", ("localhost",))
        second = Certificates(*arguments, clock=place.clock.real, monotonic=place.clock.monotonic)
        await second.look()
        assert second.trusted == place.certificates.trusted

    at_a_server(test)


def test_a_pod_meets_no_signer_it_was_not_told_of() -> None:
    """Over four years of looking every hundred days: whoever signs today was trusted at the last look already."""
    clock = Clock()

    async def test() -> None:
        cluster = FakeCluster(clock)
        one = Certificates(cluster, Ref(SECRET, "s", "ca"), "ca", ("localhost",), clock=clock, monotonic=clock.monotonic)
        await one.look()
        signers = set()
        trusted = one.trusted
        for _ in range(15):
            clock.pass_by(days=100)
            await one.look()
            assert one._authority is not None
            assert one._authority.current.certificate in trusted
            assert one.seconds_left() > 0
            signers.add(one._authority.current.certificate)
            trusted = one.trusted
        assert len(signers) >= 3, "it is renewed at all"

    asyncio.run(test())


def test_a_replica_that_has_not_heard_of_a_new_authority_yet_is_still_trusted() -> None:
    clock = Clock()

    async def test() -> None:
        cluster = FakeCluster(clock)
        one, other = (
            Certificates(cluster, Ref(SECRET, "s", "ca"), "ca", ("localhost",), clock=clock, monotonic=clock.monotonic)
            for _ in range(2)
        )
        await one.look()
        for _ in range(60):
            await other.look()
            assert other._authority is not None
            clock.pass_by(days=29)
            await one.look()
            assert other._authority.current.certificate in one.trusted
        assert one.trusted.count("BEGIN") <= 2

    asyncio.run(test())


@pytest.mark.parametrize("damage", ["deleted", "emptied", "no PEM", "no base64", "another's key"])
def test_pods_that_run_still_trust_a_server_whose_secret_was_damaged(damage: str) -> None:
    async def test(place: Place) -> None:
        secret, trusted = place.certificates.secret, place.certificates.trusted
        data = place.cluster.objects[secret]["data"]
        match damage:
            case "deleted":
                place.cluster.remove(secret)
            case "emptied":
                data.clear()
            case "no PEM":
                data["current.crt"] = "bm9uc2Vuc2U="
            case "no base64":
                data["current.key"] = "%"
            case _:
                other = Certificates(
                    FakeCluster(), secret, "ca", ("localhost",), clock=place.clock.real, monotonic=place.clock.monotonic
                )
                await other.look()
                data["current.key"] = other.store.objects[secret]["data"]["current.key"]  # type: ignore[attr-defined]
        await place.certificates.look()
        assert place.certificates.trusted == trusted
        second = Certificates(
            place.cluster, secret, "finetune-ca", ("localhost",), clock=place.clock.real, monotonic=place.clock.monotonic
        )
        await second.look()
        assert second.trusted == trusted, "and the next process finds it whole"

    at_a_server(test)


def test_a_damaged_secret_does_not_keep_the_operator_from_starting() -> None:
    async def test() -> None:
        clock, cluster = Clock(), FakeCluster()
        cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "ca", "namespace": "s"},
                "data": {"current.crt": "%", "current.key": "%"},
            }
        )
        one = Certificates(cluster, Ref(SECRET, "s", "ca"), "ca", ("localhost",), clock=clock, monotonic=clock.monotonic)
        await one.look()
        assert one.seconds_left() > 0

    asyncio.run(test())


def test_the_certificate_is_renewed_while_the_server_runs() -> None:
    async def test(place: Place) -> None:
        first = place.certificates._certificate
        assert await place.post() == 200
        await place.certificates.look()
        assert place.certificates._certificate is first
        place.clock.ahead = 25 * 86400
        await place.certificates.look()
        assert place.certificates._certificate is not first

    at_a_server(test)

"""What goes over the wire: envelopes, encodings, and errors found in XAPI's own order."""

from __future__ import annotations

import asyncio
import json
import ssl
import xmlrpc.client
from typing import Any

import aiohttp
import pytest

import simulator
from tests.simulator.pools import TWO_HOSTS, Xapi, played, refused


async def raw(xapi: Xapi, path: str, body: str) -> tuple[int, str, str]:
    """Status, content type and text of a POST to the master."""
    async with aiohttp.ClientSession() as http, http.post(xapi.sim.master_url + path, data=body) as response:
        return response.status, response.headers["Content-Type"], await response.text()


def xml_call(method: str, *params: Any) -> str:
    return xmlrpc.client.dumps(params, method)


def test_xml_answers_stand_in_one_struct_of_status_and_value() -> None:
    """Success carries Value, failure carries ErrorDescription, both as text/xml."""

    async def story(xapi: Xapi) -> None:
        for path in ("/", "/RPC2"):
            status, kind, text = await raw(xapi, path, xml_call("pool.get_all", xapi.session))
            assert (status, kind) == (200, "text/xml")
            ((told,), _) = xmlrpc.client.loads(text)
            assert isinstance(told, dict)
            assert set(told) == {"Status", "Value"}
            assert told["Status"] == "Success"
        _, _, text = await raw(xapi, "/", xml_call("pool.get_record", xapi.session, "OpaqueRef:no"))
        ((told,), _) = xmlrpc.client.loads(text)
        assert told == {"Status": "Failure", "ErrorDescription": ["HANDLE_INVALID", "pool", "OpaqueRef:no"]}

    played(story)


def test_xml_writes_whole_numbers_without_a_type() -> None:
    """Python's own client reads a 64-bit number as text; floats, booleans and dates have their tags."""

    async def story(xapi: Xapi) -> None:
        host, vm = await xapi.ref("north"), await xapi.ref("web")
        _, _, text = await raw(xapi, "/", xml_call("host.compute_free_memory", xapi.session, host))
        assert f"<name>Value</name><value>{await xapi('host.compute_free_memory', host)}</value>" in text
        _, _, text = await raw(xapi, "/", xml_call("VM.get_HVM_shadow_multiplier", xapi.session, vm))
        assert "<double>1</double>" in text
        _, _, text = await raw(xapi, "/", xml_call("host.get_enabled", xapi.session, host))
        assert "<boolean>1</boolean>" in text
        _, _, text = await raw(xapi, "/", xml_call("host.get_servertime", xapi.session, host))
        assert "<dateTime.iso8601>20260101T00:00:00Z</dateTime.iso8601>" in text

    played(story)


def test_valid_ref_counts_are_the_only_numbers_of_32_bits() -> None:
    """event.from in XML: counts as <i4>, the token and the ids as text."""

    async def story(xapi: Xapi) -> None:
        _, _, text = await raw(xapi, "/", xml_call("event.from", xapi.session, ["pool"], "", 0.5))
        assert "<member><name>host</name><value><i4>2</i4></value></member>" in text
        assert "<member><name>timestamp</name><value>0.0</value></member>" in text

    played(story)


def test_list_methods_alone_comes_without_an_envelope() -> None:
    """A bare array of names."""

    async def story(xapi: Xapi) -> None:
        _, _, text = await raw(xapi, "/", xml_call("system.listMethods"))
        ((names,), _) = xmlrpc.client.loads(text)
        assert isinstance(names, list)
        assert "host.evacuate" in names

    played(story)


def test_json_rpc_1_has_result_and_error_always_and_2_has_one_of_them() -> None:
    """And the content type is application/json without a charset."""

    async def story(xapi: Xapi) -> None:
        for version, good, bad in (
            (1, {"result", "error", "id"}, {"result", "error", "id"}),
            (2, {"jsonrpc", "result", "id"}, {"jsonrpc", "error", "id"}),
        ):
            head = {"jsonrpc": "2.0"} if version == 2 else {}
            body = json.dumps({**head, "method": "host.get_all", "params": [xapi.session], "id": 7})
            status, kind, text = await raw(xapi, "/jsonrpc", body)
            assert (status, kind) == (200, "application/json")
            assert set(json.loads(text)) == good
            body = json.dumps({**head, "method": "host.get_record", "params": [xapi.session, "x"], "id": 7})
            _, _, text = await raw(xapi, "/jsonrpc", body)
            told = json.loads(text)
            assert set(told) == bad
            assert told["id"] == 7
            wanted: Any = ["HANDLE_INVALID", "host", "x"]
            if version == 2:
                wanted = {"code": 1, "message": "HANDLE_INVALID", "data": ["host", "x"]}
            assert told["error"] == wanted

    played(story)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        '{"method": "host.get_all", "params": []}',
        '{"id": 1}',
        '{"method": "host.get_all", "params": {}, "id": 1}',
    ],
)
def test_what_is_no_call_gets_a_page_of_html(body: str) -> None:
    """HTTP 500, in both tongues; a notification without an id is no call."""

    async def story(xapi: Xapi) -> None:
        for path in ("/jsonrpc", "/"):
            status, kind, _ = await raw(xapi, path, body)
            assert status == 500
            assert kind.startswith("text/html")

    played(story)


def test_errors_are_found_in_xapis_order() -> None:
    """Session before an unknown method; count before type, type before session, session before the call."""

    async def story(xapi: Xapi) -> None:
        assert await refused(xapi.ask("host.fly", "no session")) == ["SESSION_INVALID", "no session"]
        assert await refused(xapi("host.fly")) == ["MESSAGE_METHOD_UNKNOWN", "host.fly"]
        assert await refused(xapi.ask("host.get_record", "no session")) == [
            "MESSAGE_PARAMETER_COUNT_MISMATCH",
            "host.get_record",
            "1",
            "0",
        ]
        assert await refused(xapi.ask("host.get_record", "no session", 5)) == ["FIELD_TYPE_ERROR", "self"]
        assert await refused(xapi.ask("host.get_record", "no session", "x")) == ["SESSION_INVALID", "no session"]
        assert await refused(xapi("host.get_record", "x")) == ["HANDLE_INVALID", "host", "x"]

    played(story)


def test_only_calls_with_defaults_take_more_parameters_than_they_know() -> None:
    """host.evacuate swallows a fourth, host.get_record does not take a second."""

    async def story(xapi: Xapi) -> None:
        host = await xapi.ref("south")
        assert await refused(xapi("host.get_record", host, "more")) == [
            "MESSAGE_PARAMETER_COUNT_MISMATCH",
            "host.get_record",
            "1",
            "2",
        ]
        await xapi("host.disable", host)
        await xapi("host.evacuate", host, "OpaqueRef:NULL", 0, "more")

    played(story)


def test_an_old_xapi_evacuates_with_one_parameter_only() -> None:
    """As a real 8.2 answered: (host.evacuate, 1, 3)."""

    async def story(xapi: Xapi) -> None:
        host = await xapi.ref("south")
        await xapi("host.disable", host)
        assert await refused(xapi("host.evacuate", host, "OpaqueRef:NULL", 3)) == [
            "MESSAGE_PARAMETER_COUNT_MISMATCH",
            "host.evacuate",
            "1",
            "3",
        ]
        assert await refused(xapi("host.disable", host, False)) == [
            "MESSAGE_PARAMETER_COUNT_MISMATCH",
            "host.disable",
            "1",
            "2",
        ]
        await xapi("host.evacuate", host)

    played(story, {**TWO_HOSTS, "profile": "xcp-ng-8.2"})


def test_a_float_must_come_as_a_double_in_xml() -> None:
    """event.from with 60 is refused, with 60.0 it is not; JSON has one kind of number."""

    async def story(xapi: Xapi) -> None:
        _, _, text = await raw(xapi, "/", xml_call("event.from", xapi.session, ["pool"], "", 1))
        assert "FIELD_TYPE_ERROR" in text
        _, _, text = await raw(xapi, "/", xml_call("event.from", xapi.session, ["pool"], "", 1.0))
        assert "Success" in text
        assert (await xapi("event.from", ["pool"], "", 1))["events"]

    played(story)


def test_xml_numbers_may_come_as_text() -> None:
    """64-bit parameters are sent untyped by real clients."""

    async def story(xapi: Xapi) -> None:
        vm = await xapi.ref("web")
        _, _, text = await raw(xapi, "/", xml_call("VM.set_start_delay", xapi.session, vm, "30"))
        assert "Success" in text
        assert await xapi("VM.get_start_delay", vm) == 30

    played(story)


def test_a_call_that_is_not_simulated_says_so_in_the_journal() -> None:
    """To the client it is an unknown method."""

    async def story(xapi: Xapi) -> None:
        host = await xapi.ref("north")
        assert await refused(xapi("host.dmesg", host)) == ["MESSAGE_METHOD_UNKNOWN", "host.dmesg"]
        (line,) = xapi.lines("call", method="host.dmesg")
        assert line["simulated"] is False
        assert line["code"] == "MESSAGE_METHOD_UNKNOWN"

    played(story)


def test_secrets_and_references_are_not_in_the_journal() -> None:
    """No password, no session, and objects by their names."""

    async def story(xapi: Xapi) -> None:
        await xapi("host.disable", await xapi.ref("south"))
        text = xapi.sim.site.journal.text()
        assert 'simulated"' not in text
        assert xapi.session not in text
        (line,) = xapi.lines("call", method="host.disable")
        assert line["params"] == ["south"]
        assert line["client"] == "test"

    played(story)


def test_the_hosts_speak_tls_with_a_ca_of_their_own() -> None:
    """Trusted with the CA's file, refused without."""

    async def with_tls() -> None:
        async with simulator.running(TWO_HOSTS, tls=True) as sim:
            assert sim.master_url.startswith("https://")
            trusted = ssl.create_default_context(cafile=sim.ca_file)
            body = {"jsonrpc": "2.0", "method": "session.login_with_password", "params": ["root", "simulated"], "id": 1}
            async with aiohttp.ClientSession() as http:
                async with http.post(f"{sim.master_url}/jsonrpc", json=body, ssl=trusted) as response:
                    assert "result" in await response.json()
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    await http.post(f"{sim.master_url}/jsonrpc", json=body)

    asyncio.run(with_tls())

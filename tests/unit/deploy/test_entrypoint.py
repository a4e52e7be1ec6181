"""What a container's environment becomes before a service sees it."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deploy.entrypoint import (
    JOBS,
    SERVICES,
    ConfigurationError,
    environment_for,
    main,
    module_of,
    ready,
)
from libs.runtime.nats.address import nats_address
from libs.schema import OWNERS


def test_every_service_and_both_jobs_can_be_run() -> None:
    assert set(SERVICES) == set(OWNERS)
    assert [module_of(name) for name in ("runs", "migrate")] == ["services.runs", "deploy.migrate"]
    assert JOBS == ("migrate", "provision")


def test_what_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="'agent' is nothing that runs here"):
        module_of("agent")


def test_a_secret_is_read_from_its_file_without_the_last_line_break(tmp_path: Path) -> None:
    (tmp_path / "pepper").write_text("two words\n")

    found = environment_for("gateway", {"HEADWATER_KEY_PEPPER_FILE": str(tmp_path / "pepper")})

    assert found["HEADWATER_KEY_PEPPER"] == "two words"
    assert "HEADWATER_KEY_PEPPER_FILE" not in found


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"HEADWATER_KEY_PEPPER_FILE: .*/none cannot be read"
    ):
        environment_for("gateway", {"HEADWATER_KEY_PEPPER_FILE": str(tmp_path / "none")})


def test_a_variable_and_its_file_together_are_refused(tmp_path: Path) -> None:
    given = {"HEADWATER_KEY_PEPPER": "a", "HEADWATER_KEY_PEPPER_FILE": str(tmp_path)}

    with pytest.raises(ConfigurationError, match="are both set"):
        environment_for("gateway", given)


def test_a_password_goes_into_the_url_escaped() -> None:
    found = environment_for(
        "runs",
        {
            "HEADWATER_POSTGRES_URL": "postgresql://headwater_runs@pg:5432/headwater?sslmode=require",
            "HEADWATER_POSTGRES_PASSWORD": "p@ss/w:rd?#é",
        },
    )

    assert found["HEADWATER_POSTGRES_URL"] == (
        "postgresql://headwater_runs:p%40ss%2Fw%3Ard%3F%23%C3%A9@pg:5432/headwater?sslmode=require"
    )
    assert "HEADWATER_POSTGRES_PASSWORD" not in found


@pytest.mark.parametrize(
    "url", ["postgresql://runs:already@pg/headwater", "postgresql://pg/headwater", "pg/headwater"]
)
def test_a_url_that_cannot_take_the_password_is_refused_without_showing_either(url: str) -> None:
    given = {"HEADWATER_POSTGRES_URL": url, "HEADWATER_POSTGRES_PASSWORD": "hunter2"}

    with pytest.raises(
        ConfigurationError, match="HEADWATER_POSTGRES_URL must name a user"
    ) as caught:
        environment_for("runs", given)

    assert "hunter2" not in str(caught.value)
    assert "already" not in str(caught.value)


def test_a_password_without_a_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="HEADWATER_NATS_URL is not; set both"):
        environment_for("runs", {"HEADWATER_NATS_PASSWORD": "a"})


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("nats://runs@nats:4222", "nats://runs:a%2Fb%2C@nats:4222"),
        ("nats://runs@n1:4222,n2:4222", "nats://runs:a%2Fb%2C@n1:4222,n2:4222"),
        ("nats://runs@n1,nats://runs@n2", "nats://runs:a%2Fb%2C@n1,nats://runs@n2"),
        ("nats://runs@n1,runs@n2", "nats://runs:a%2Fb%2C@n1,runs@n2"),
    ],
)
def test_a_nats_password_is_for_every_node(url: str, whole: str) -> None:
    found = environment_for("runs", {"HEADWATER_NATS_URL": url, "HEADWATER_NATS_PASSWORD": "a/b,"})

    assert found["HEADWATER_NATS_URL"] == whole
    address = nats_address(whole)
    assert (address.user, address.password) == ("runs", "a/b,")


def test_the_passwords_of_roles_become_one_json_object(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text('a "quoted" one')

    found = environment_for(
        "migrate",
        {
            "HEADWATER_ROLE_PASSWORD_RUNS_FILE": str(tmp_path / "runs"),
            "HEADWATER_ROLE_PASSWORD_READER": "r",
        },
    )

    assert json.loads(found["HEADWATER_ROLE_PASSWORDS"]) == {
        "runs": 'a "quoted" one',
        "reader": "r",
    }


def test_an_empty_variable_counts_as_unset() -> None:
    assert "HEADWATER_NATS_TLS_CA" not in environment_for("runs", {"HEADWATER_NATS_TLS_CA": ""})


def test_a_service_listens_to_its_container_unless_told_otherwise() -> None:
    runs = environment_for("runs", {})
    gateway = environment_for("gateway", {"HEADWATER_HOST": "::"})

    assert (runs["HEADWATER_HEALTH_HOST"], runs["HEADWATER_HEALTH_PORT"]) == ("0.0.0.0", "4201")  # noqa: S104 - of a container
    assert "HEADWATER_HOST" not in runs
    assert gateway["HEADWATER_HOST"] == "::"


def test_variables_of_others_are_left_alone() -> None:
    assert environment_for("migrate", {"PATH": "/bin", "SSL_CERT_FILE": "/x"}) == {
        "PATH": "/bin",
        "SSL_CERT_FILE": "/x",
    }


@pytest.mark.parametrize("arguments", [[], ["gateway", "runs"], ["sh"]])
def test_a_wrong_command_ends_in_one_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("headwater: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        (b'{"ready": true, "reasons": []}', []),
        (b'{"ready": false, "reasons": ["NATS is not connected"]}', ["NATS is not connected"]),
        (b'{"ready": false}', ["not ready"]),
    ],
)
def test_ready_says_what_the_service_says(answer: bytes, reasons: list[str]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request, daemon=True).start()

        assert ready(server.server_port) == reasons


def test_a_service_that_does_not_answer_is_not_ready() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port

    [reason] = ready(port)

    assert reason.startswith(f"no answer on port {port}")

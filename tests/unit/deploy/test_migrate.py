"""The pure parts of migrating."""

import base64
import re
from pathlib import Path

import deploy.migrate
from deploy.migrate import role_url, scram_verifier, with_database, with_user
from deploy.migration import missing_schemas, next_revision


def test_a_verifier_is_that_of_the_standard() -> None:
    # RFC 7677 section 3: user "user", password "pencil"; the keys follow from its client proof and server signature.
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")

    assert scram_verifier("pencil", salt=salt) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_urls_change_in_one_part_only() -> None:
    url = "postgresql://owner:s%2Fcret@db.example:5433/headwater?sslmode=require"

    assert with_database(url, "other") == (
        "postgresql://owner:s%2Fcret@db.example:5433/other?sslmode=require"
    )
    assert with_user(url, user="u", password="p") == (
        "postgresql://u:p@db.example:5433/headwater?sslmode=require"
    )
    assert role_url(url, role="runs", password="p") == (
        "postgresql://headwater_runs:p@db.example:5433/headwater?sslmode=require"
    )


def test_a_password_with_a_slash_stays_a_password() -> None:
    assert with_user("postgresql://a:b@h/d", user="u", password="p/@:") == (
        "postgresql://u:p%2F%40%3A@h/d"
    )


def test_the_next_migration_follows_the_highest() -> None:
    assert next_revision(["0001_first_tables.py", "0001_first_tables.sql", "0007_x.py"]) == "0008"
    assert next_revision([]) == "0001"


def test_a_new_service_lacks_a_schema_and_an_old_one_does_not() -> None:
    sources = ["CREATE SCHEMA runs;", 'op.execute("CREATE SCHEMA lazarus")']

    assert missing_schemas(sources, ["runs", "lazarus", "newest"]) == ["newest"]


def test_there_is_one_newest_migration() -> None:
    revised = re.findall(r'^(down_)?revision = "(\d+)"', _migrations(), re.MULTILINE)
    numbers = [number for down, number in revised if not down]
    followed = [number for down, number in revised if down]

    assert len(set(followed)) == len(followed), "two follow the same one"
    assert set(numbers) - set(followed) == {max(numbers)}


def _migrations() -> str:
    folder = Path(deploy.migrate.__file__).parent / "migrations" / "versions"
    return "\n".join(file.read_text() for file in sorted(folder.glob("*.py")))

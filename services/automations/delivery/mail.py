"""E-mail, through the operator's mail server. Users choose the recipients, never the server."""

import asyncio
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.automations.domain.outgoing import Mail
from services.automations.domain.retries import Answer
from services.automations.domain.templates import one_line

_PORTS = {"smtp": 587, "smtps": 465}
_ADDRESS_CHARACTERS = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """`smtp://user:password@host:port` (STARTTLS if the server has it), or `smtps://` (TLS from the start)."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None = field(repr=False)
    sender: str

    @classmethod
    def of(cls, url: str, sender: str) -> "MailServer":
        """The server in an address. ValueError with a sentence when it is none."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            msg = "must be smtp://user:password@host:port, or smtps://"
            raise ValueError(msg)
        return cls(
            host=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            sender=sender,
        )


def is_address(text: str) -> bool:
    """Whether it looks like one e-mail address, and cannot end a header or name another recipient."""
    local, at, domain = text.rpartition("@")
    odd = any(letter.isspace() or letter in ',;<>"\\()' or ord(letter) < 32 for letter in text)
    return bool(at and local and domain) and not odd and len(text) <= _ADDRESS_CHARACTERS


def message_of(mail: Mail, *, key: str, sender: str) -> EmailMessage:
    """The message. Its Message-ID is the delivery's key, so a mailbox shows a repetition once."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(mail.to)
    message["Subject"] = one_line(mail.subject, limit=250)
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{key}@headwater>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message


async def send(
    mail: Mail, server: MailServer, *, key: str, within: float, tls: ssl.SSLContext
) -> Answer:
    """Hand it to the server, `within` seconds."""
    if not mail.to or not all(is_address(address) for address in mail.to):
        return Answer(error="an address of the recipients is no e-mail address", for_good=True)
    message = message_of(mail, key=key, sender=server.sender)
    try:
        async with asyncio.timeout(within):
            refused, text = await aiosmtplib.send(
                message,
                recipients=list(mail.to),
                hostname=server.host,
                port=server.port,
                username=server.user,
                password=server.password,
                use_tls=server.tls,
                # None: STARTTLS if the server offers it. A password never goes in clear.
                start_tls=True
                if server.user and not server.tls
                else (False if server.tls else None),
                tls_context=tls,
                timeout=within,
            )
    except aiosmtplib.SMTPRecipientsRefused as error:
        codes = [each.code for each in error.recipients]
        return Answer(
            status=codes[0] if codes else None,
            error="the mail server refused every recipient",
            for_good=bool(codes) and all(code >= 500 for code in codes),
        )
    except aiosmtplib.SMTPResponseException as error:
        # What the server says may name what it got.
        return Answer(
            status=error.code,
            text=error.message,
            error=f"the mail server answered {error.code}",
            for_good=500 <= error.code < 600,
        )
    except (TimeoutError, aiosmtplib.SMTPException, OSError) as error:
        kind = type(error).__name__
        return Answer(error=f"the mail server cannot be reached ({kind})", unreachable=True)
    note = None
    if refused:
        note = f"the mail server refused {len(refused)} of {len(mail.to)} recipients"
    return Answer(status=250, text=text, error=note, succeeded=True)

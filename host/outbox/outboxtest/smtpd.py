"""A mail server for tests, which misbehaves as it is told to.

Its one argument is JSON, see MailOptions. The first line it prints is the port at which
it listens. Each mail that it has accepted becomes a line of JSON in its record. It ends
with its standard input.

By whom a mail is for, it also
  refused    refuses the recipient for good        unread   refuses the mail for good
  busy       refuses the recipient for now         full     refuses the mail for now
  grey       refuses the recipient the first time  cut      closes in the middle of the mail
  leaving    says 421 and closes                   lost     accepts the mail, and closes
  slow       is slow to accept the mail                     without saying so, once
"""

import asyncio
import base64
import json
import random
import re
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

options = json.loads(sys.argv[1])
chance = random.Random(options.get("seed", 1))
record = open(options["record"], "a", encoding="ascii")


def happens(what):
    return chance.random() < options.get(what, 0)


class Handler:
    def __init__(self):
        self.seen = set()

    def first(self, address):
        if address in self.seen:
            return False
        self.seen.add(address)
        return True

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        local = address.split("@")[0]
        if local == "refused":
            return "550 5.1.1 no such\tuser here"
        if local == "busy" or local == "grey" and self.first(address) or happens("busy"):
            return "451 4.7.1 come back later"
        if local == "leaving":
            await server.push("421 4.3.2 closing down")
            server.transport.close()
            return "421 4.3.2 closing down"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        local = envelope.rcpt_tos[0].split("@")[0]
        if local == "unread":
            return "554-5.6.0 not this\r\n554 5.6.0 of all mails"
        if local == "full" or happens("full"):
            return "452 4.3.1 no room"
        if local == "slow":
            await asyncio.sleep(options["slow"])
        if local == "cut" or happens("cut"):
            server.transport.abort()
            return "451 cut"
        lost = local == "lost" and self.first(envelope.rcpt_tos[0]) or happens("lost")
        content = envelope.original_content
        found = re.search(rb"(?im)^message-id:\s*(<[^>]*>)", content.partition(b"\r\n\r\n")[0])
        record.write(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "user": session.auth_data or "",
            "encrypted": session.ssl is not None or options.get("tls") == "implicit",
            "connection": session.peer[1],
            "lost": lost,
            "id": found[1].decode("ascii", "replace") if found else "",
            "content": "" if options.get("brief") else base64.b64encode(content).decode("ascii"),
        }) + "\n")
        record.flush()
        if lost:
            server.transport.abort()
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login.decode(), data.password.decode()) == (options["user"], options["password"])
    return AuthResult(success=good, handled=good, auth_data=options["user"])


def make_server(handler):
    keywords = {"hostname": "mail.test", "enable_SMTPUTF8": options.get("smtputf8", False)}
    if options.get("tls") == "starttls":
        keywords["tls_context"] = context()
    if options.get("user"):
        keywords.update(authenticator=authenticate, auth_required=True, auth_require_tls=False)
    return SMTP(handler, **keywords)


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(options["certificate"], options["key"])
    return made


async def main():
    handler = Handler()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: make_server(handler), "127.0.0.1", options.get("port", 0),
        ssl=context() if options.get("tls") == "implicit" else None, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())

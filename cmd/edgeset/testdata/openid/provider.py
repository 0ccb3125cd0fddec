"""An OpenID 2.0 provider for the tests of logins, made of python3-openid.

Its first line of output is its address, on a port that is free. It ends when its
standard input does. Whoever is asked for is logged in at once; the names have
meanings:

    cancel    does not want to log in
    nameless  has no nickname
    attrs     has a profile of Attribute Exchange alone
    long      has a profile that makes answers too long for a URL
"""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from openid.extensions import ax, sreg
from openid.server.server import Server
from openid.store.memstore import MemoryStore

SERVER = 'http://specs.openid.net/auth/2.0/server'
SIGNON = 'http://specs.openid.net/auth/2.0/signon'
SCHEMA = 'http://axschema.org/'


def profile(who):
    return {
        'fullname': who.title() + ' of the test',
        'nickname': who + '-nick',
        'email': who + '@example.org',
    }


def xrds(kind, endpoint):
    return '''<?xml version="1.0" encoding="UTF-8"?>
<xrds:XRDS xmlns:xrds="xri://$xrds" xmlns="xri://$xrd*($v=2.0)">
  <XRD>
    <Service priority="20"><Type>http://openid.net/signon/1.1</Type><URI>%s</URI></Service>
    <Service priority="10"><Type>%s</Type><URI>%s</URI></Service>
  </XRD>
</xrds:XRDS>''' % (endpoint, kind, endpoint)


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, code, body=b'', **headers):
        if isinstance(body, str):
            body = body.encode()
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        place = urlsplit(self.path)
        query = dict(parse_qsl(place.query))
        base, (_, kind, *rest) = self.server.base, place.path.split('/', 2)
        who = rest[0] if rest else ''
        endpoint = base + '/endpoint'
        if kind == 'endpoint':
            self.openid(query)
        elif kind == 'xrds':  # the page is the document
            self.answer(200, xrds(SIGNON, endpoint), Content_Type='application/xrds+xml')
        elif kind == 'header':  # the page leads to the document
            self.answer(200, 'Hello', Content_Type='text/plain', X_XRDS_Location=base + '/xrds/' + who)
        elif kind == 'html':
            self.answer(200, '<!DOCTYPE html><html><head><title>%s</title><link rel="openid2.provider openid.server" href="%s">'
                        '<link rel="openid2.local_id" href="%s"></head><body>Hello' % (who, endpoint, base + '/xrds/' + who),
                        Content_Type='text/html')
        elif kind == 'old':
            self.answer(200, '<head><link rel="openid.server" href="%s"></head>' % endpoint, Content_Type='text/html')
        elif kind == '':  # the provider itself
            self.answer(200, xrds(SERVER, endpoint), Content_Type='application/xrds+xml')
        elif kind == 'redirect':
            self.answer(302, Location=query['to'])
        elif kind == 'lead':
            self.answer(200, X_XRDS_Location=query['to'], Content_Type='text/html')
        else:
            self.answer(404)

    def do_POST(self):
        form = self.rfile.read(int(self.headers['Content-Length'])).decode()
        self.openid(dict(parse_qsl(form)))

    def openid(self, query):
        with self.server.lock:
            op = self.server.openid
            request = op.decodeRequest(query)
            if request.mode == 'checkid_setup':
                response = self.decide(request)
            else:
                response = op.handleRequest(request)
            web = op.encodeResponse(response)
        self.answer(web.code, web.body, **web.headers)

    def decide(self, request):
        chosen = request.idSelect() and self.server.base + '/xrds/chosen' or request.identity
        who = chosen.rsplit('/', 1)[1]
        if who == 'cancel':
            return request.answer(False)
        response = request.answer(True, identity=chosen)
        data = profile(who)
        if who == 'nameless':
            del data['nickname']
        if who != 'attrs':
            asked = sreg.SRegRequest.fromOpenIDRequest(request)
            response.addExtension(sreg.SRegResponse.extractResponse(asked, data))
        asked = ax.FetchRequest.fromOpenIDRequest(request)
        given = ax.FetchResponse(asked)
        if who == 'attrs':
            for attribute, value in (('namePerson', 'fullname'), ('namePerson/friendly', 'nickname'), ('contact/email', 'email')):
                given.addValue(SCHEMA + attribute, data[value])
        if who == 'long':
            given.addValue(SCHEMA + 'namePerson/last', 'x' * 2000)
        response.addExtension(given)
        return response


def main():
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    server.base = 'http://127.0.0.1:%d' % server.server_port
    server.openid = Server(MemoryStore(), op_endpoint=server.base + '/endpoint')
    server.lock = threading.Lock()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.base, flush=True)
    sys.stdin.read()
    os._exit(0)


main()

"""Serves the shop: `storefront-api --www DIRECTORY`."""

import argparse
import functools
import json
import os
import secrets
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from storefront_api.cart import Cart
from storefront_api.catalogue import CATALOGUE

LARGEST_BODY = 64 * 1024


class Handler(SimpleHTTPRequestHandler):
    """The catalogue, the cart, and the front end's files."""

    def __init__(self, *arguments, secret, **keywords):
        self.secret = secret
        super().__init__(*arguments, **keywords)

    def do_GET(self):
        if self.path == "/api/catalogue":
            self.answer(HTTPStatus.OK, [product.as_json() for product in CATALOGUE])
        else:
            super().do_GET()

    def do_POST(self):
        if self.path != "/api/cart":
            self.answer(HTTPStatus.NOT_FOUND, {"error": "there is nothing here"})
            return
        try:
            length = int(self.headers.get("Content-Length", "0"))
            if not 0 <= length <= LARGEST_BODY:
                raise ValueError("the request is too large")
            request = json.loads(self.rfile.read(length))
            cart = Cart.from_token(self.secret, request.get("token"))
            cart.add(request["product"], int(request.get("count", 1)))
        except KeyError as error:
            self.answer(HTTPStatus.NOT_FOUND, {"error": f"no product {error}"})
        except (AttributeError, TypeError, ValueError) as error:
            self.answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        else:
            self.answer(HTTPStatus.OK, cart.as_json())

    def answer(self, status, body):
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def server(www, port, secret, host="127.0.0.1"):
    """A server of the front end below `www` that is ready to serve; port 0 takes a free one."""
    handler = functools.partial(Handler, directory=www, secret=secret)
    return ThreadingHTTPServer((host, port), handler)


def main():
    parser = argparse.ArgumentParser(prog="storefront-api", description=__doc__)
    parser.add_argument("--www", default=os.environ.get("STOREFRONT_WWW", "."))
    parser.add_argument("--port", type=int, default=int(os.environ.get("STOREFRONT_PORT", "8080")))
    arguments = parser.parse_args()
    secret = os.environ.get("STOREFRONT_SECRET") or secrets.token_hex()
    with server(arguments.www, arguments.port, secret) as shop:
        print(f"the shop is open at http://127.0.0.1:{shop.server_address[1]}/")
        try:
            shop.serve_forever()
        except KeyboardInterrupt:
            print("closed")


if __name__ == "__main__":
    main()

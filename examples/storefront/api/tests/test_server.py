import json
import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from storefront_api.__main__ import server


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html><title>Shop</title>")
    with server(str(tmp_path), 0, "for tests") as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def post(url, body):
    return json.load(urlopen(Request(url, json.dumps(body).encode(), method="POST")))


def test_the_front_end_and_the_catalogue_are_served(shop):
    assert b"Shop" in urlopen(f"{shop}/").read()
    assert {product["slug"] for product in json.load(urlopen(f"{shop}/api/catalogue"))} >= {"teapot"}


def test_a_cart_grows(shop):
    first = post(f"{shop}/api/cart", {"product": "teapot"})
    second = post(f"{shop}/api/cart", {"product": "teapot", "token": first["token"]})
    assert second["items"] == {"teapot": 2}


@pytest.mark.parametrize(("body", "status"), [({"product": "car"}, 404), ([], 400), ({"product": "cups", "count": 0}, 400)])
def test_what_makes_no_sense_is_refused(shop, body, status):
    with pytest.raises(HTTPError) as refused:
        post(f"{shop}/api/cart", body)
    assert refused.value.code == status

import pytest

from storefront_api import CATALOGUE, Cart, find

SECRET = "for tests"


def test_products_have_names_of_their_own():
    slugs = [product.slug for product in CATALOGUE]
    assert len(set(slugs)) == len(slugs)
    assert all(find(slug).price > 0 for slug in slugs)


def test_a_cart_survives_its_token():
    cart = Cart(SECRET)
    cart.add("teapot")
    cart.add("cups", 2)
    again = Cart.from_token(SECRET, cart.as_json()["token"])
    assert again.items == {"teapot": 1, "cups": 2}
    assert again.total == 4900 + 2 * 2800


@pytest.mark.parametrize("token", [None, "", "nonsense", Cart("other secret", {"teapot": 9}).as_json()["token"]])
def test_a_token_of_somebody_else_is_an_empty_cart(token):
    assert Cart.from_token(SECRET, token).items == {}


def test_only_what_is_sold_goes_in():
    with pytest.raises(KeyError):
        Cart(SECRET).add("car")
    with pytest.raises(ValueError):
        Cart(SECRET).add("teapot", 0)

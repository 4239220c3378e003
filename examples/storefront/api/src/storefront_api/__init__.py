"""Catalogue and cart of the example shop, as JSON."""

from storefront_api.cart import Cart
from storefront_api.catalogue import CATALOGUE, Product, find

__all__ = ["CATALOGUE", "Cart", "Product", "find"]

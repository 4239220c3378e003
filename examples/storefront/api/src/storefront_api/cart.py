"""A cart that the customer carries: a signed token, so that the service keeps nothing."""

from itsdangerous import BadSignature, URLSafeSerializer

from storefront_api.catalogue import find


class Cart:
    """How many of what, by the products' slugs."""

    def __init__(self, secret, items=None):
        self._serializer = URLSafeSerializer(secret, salt="cart")
        self.items = dict(items or {})

    @classmethod
    def from_token(cls, secret, token):
        """Reads a token; one that was tampered with, or none, is an empty cart."""
        cart = cls(secret)
        try:
            cart.items = cart._serializer.loads(token) if token else {}
        except BadSignature:
            cart.items = {}
        return cart

    def add(self, slug, count=1):
        """Adds a product. Raises KeyError for one that is not sold, ValueError for a count below 1."""
        if find(slug) is None:
            raise KeyError(slug)
        if count < 1:
            raise ValueError(f"a count of {count}")
        self.items[slug] = self.items.get(slug, 0) + count

    @property
    def total(self):
        """In cents."""
        return sum(find(slug).price * count for slug, count in self.items.items())

    def as_json(self):
        return {"items": self.items, "total": self.total, "token": self._serializer.dumps(self.items)}

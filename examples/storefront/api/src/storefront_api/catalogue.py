"""What the shop sells."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Product:
    """Something to buy. Prices are in cents."""

    slug: str
    name: str
    price: int

    def as_json(self):
        return asdict(self)


CATALOGUE = (
    Product("teapot", "Cast-iron teapot", 4900),
    Product("cups", "Two porcelain cups", 2800),
    Product("sencha", "Sencha, 100 g", 1250),
)


def find(slug):
    """The product of that name; None when there is none."""
    return next((product for product in CATALOGUE if product.slug == slug), None)

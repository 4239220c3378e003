// The cart: what the service answered last, kept in the browser.

const KEY = "cart";
const EMPTY = { items: {}, total: 0, token: null };

/** The cart as the service last described it; an empty one when there is none. */
export function read() {
  try {
    const cart = JSON.parse(localStorage.getItem(KEY));
    return cart && typeof cart.items === "object" && cart.items ? cart : EMPTY;
  } catch {
    return EMPTY;
  }
}

/** How many things are in the cart. */
export function count(cart) {
  return Object.values(cart.items).reduce((sum, many) => sum + many, 0);
}

/** Puts one of a product into the cart. Throws when the service does not take it. */
export async function add(product) {
  const response = await fetch("/api/cart", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ product, token: read().token }),
  });
  if (!response.ok) {
    throw new Error(`the service answered ${response.status}`);
  }
  const cart = await response.json();
  localStorage.setItem(KEY, JSON.stringify(cart));
  return cart;
}

/** Forgets the cart. */
export function clear() {
  localStorage.removeItem(KEY);
  return EMPTY;
}

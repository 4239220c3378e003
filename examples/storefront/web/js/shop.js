// On every page: the number in the cart, and buttons that add to it.
import { addToCart, ShopError } from "./api.js";
import { load, save, size } from "./basket.js";

function showCount(cart) {
  for (const badge of document.querySelectorAll(".count")) {
    const count = size(cart);
    badge.textContent = count;
    badge.hidden = count === 0;
  }
}

function tell(text) {
  const message = document.querySelector(".message");
  if (message) {
    message.textContent = text;
  }
}

async function add(button) {
  button.disabled = true;
  try {
    const cart = save(await addToCart(load().token, button.dataset.product));
    showCount(cart);
    tell("");
    button.textContent = "Added";
  } catch (error) {
    if (!(error instanceof ShopError)) {
      throw error;
    }
    tell(error.message);
  } finally {
    button.disabled = false;
  }
}

for (const button of document.querySelectorAll("button[data-product]")) {
  button.addEventListener("click", () => add(button));
}
showCount(load());

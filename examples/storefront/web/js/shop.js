import { add, clear, count, read } from "./cart.js";

const euros = new Intl.NumberFormat("en-IE", { style: "currency", currency: "EUR" });

function each(selector, change) {
  document.querySelectorAll(selector).forEach(change);
}

function say(message) {
  each("[data-status]", (status) => {
    status.textContent = message;
  });
}

function show(cart) {
  const all = count(cart);
  each("[data-cart-count]", (badge) => {
    badge.textContent = all;
    badge.hidden = all === 0;
  });
  each("[data-item]", (row) => {
    const many = cart.items[row.dataset.item] ?? 0;
    row.querySelector("[data-many]").textContent = `× ${many}`;
    row.hidden = many === 0;
  });
  each("[data-cart-total]", (total) => {
    total.textContent = euros.format(cart.total / 100);
  });
  each("[data-cart-empty]", (part) => {
    part.hidden = all > 0;
  });
  each("[data-cart-full]", (part) => {
    part.hidden = all === 0;
  });
}

each("[data-add]", (button) => {
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const cart = await add(button.dataset.add);
      show(cart);
      say(`It is in your cart, which comes to ${euros.format(cart.total / 100)} now.`);
    } catch {
      say("The cart cannot be reached just now. Nothing was added; please try again later.");
    } finally {
      button.disabled = false;
    }
  });
});

each("[data-cart-clear]", (button) => {
  button.addEventListener("click", () => {
    show(clear());
    say("Your cart is empty now.");
  });
});

// Another tab changed the cart.
addEventListener("storage", () => show(read()));

show(read());

// A list whose items one puts in order with two buttons each.

class OrderList extends HTMLElement {
  #listeners = null;

  connectedCallback() {
    this.#listeners = new AbortController();
    this.addEventListener("click", (event) => this.#move(event.target.closest("button")), this.#listeners);
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  #move(button) {
    const item = button?.closest("li");
    if (!item) return;
    if ("up" in button.dataset) item.previousElementSibling?.before(item);
    else if ("down" in button.dataset) item.nextElementSibling?.after(item);
    button.focus();
  }
}

customElements.define("order-list", OrderList);

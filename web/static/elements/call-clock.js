// <call-clock since="2026-11-20T11:32:05Z">: counts up from a moment, by the server's clock. 0:07, 4:12, 1:02:03.

import { duration } from "../clock.js";
import { live } from "../live.js";

class CallClock extends HTMLElement {
  static observedAttributes = ["since"];
  #timer = 0;

  connectedCallback() {
    this.#timer = setInterval(() => this.#show(), 1000);
    this.#show();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
  }

  attributeChangedCallback() {
    this.#show();
  }

  #show() {
    const since = this.getAttribute("since");
    const text = since ? duration(live.now() - Date.parse(since)) : "";
    if (this.textContent !== text) this.textContent = text;
  }
}

customElements.define("call-clock", CallClock);

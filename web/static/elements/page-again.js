// On the page that stands in for another one while the database is away: asks again, and puts the page in place when it comes.
// The windows of calls, outside #main, stay as they are.

import { ask } from "../ask.js";

const FAILED = 500; // and above: ours or a proxy's, it is no page

class PageAgain extends HTMLElement {
  #timer = 0;

  connectedCallback() {
    this.#askLater();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  #askLater() {
    const seconds = Number(this.dataset.seconds) * (0.8 + 0.4 * Math.random()); // not everybody at one moment
    this.#timer = setTimeout(() => this.#ask(), seconds * 1000);
  }

  async #ask() {
    const path = location.pathname + location.search;
    const answer = await ask(path, { headers: { "HX-Request": "true", "HX-Request-Type": "partial" } });
    if (!this.isConnected) return;
    if (answer && answer.status < FAILED) globalThis.htmx.ajax("GET", path, { target: "#main", swap: "innerHTML" });
    else this.#askLater();
  }
}

customElements.define("page-again", PageAgain);

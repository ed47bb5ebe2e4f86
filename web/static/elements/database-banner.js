// One calm line while the database is away: what goes on, what is kept for later. It goes by itself when the database is back.

import { live } from "../live.js";

class DatabaseBanner extends HTMLElement {
  #listeners = null;

  connectedCallback() {
    this.#listeners = new AbortController();
    live.addEventListener("message", () => this.#show(), this.#listeners);
    this.#show();
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  // The words come into a region that is there before, so that they are read out.
  #show() {
    const line = this.querySelector("template").content;
    const place = this.querySelector("[role=status]");
    if (live.isDatabaseAway === place.hasChildNodes()) return;
    place.replaceChildren(...(live.isDatabaseAway ? [line.cloneNode(true)] : []));
  }
}

customElements.define("database-banner", DatabaseBanner);

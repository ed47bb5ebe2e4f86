// A badge on the bottom bar: how many wait, asked at data-count (missed callers) when the socket tells of data-on.

import { ask } from "../ask.js";
import { live } from "../live.js";

const PAUSE = 300;
const SPREAD = 2000; // a company's browsers hear at one moment and must not all ask at one

class MissedBadge extends HTMLElement {
  #listeners = null;
  #due = 0;

  connectedCallback() {
    this.#listeners = new AbortController();
    live.addEventListener("message", ({ detail }) => this.#hear(detail.type), { signal: this.#listeners.signal });
    this.#count();
  }

  disconnectedCallback() {
    this.#listeners.abort();
    clearTimeout(this.#due);
  }

  #hear(type) {
    if (type !== "hello" && !type.startsWith(this.dataset.on ?? "callback.")) return;
    this.#due ||= setTimeout(() => this.#count(), PAUSE + Math.random() * SPREAD);
  }

  async #count() {
    this.#due = 0;
    const answer = await ask(this.dataset.count ?? "/missed/count");
    const { waiting } = (answer?.status === 200 && answer.json()) || {};
    if (waiting === undefined) return; // the server is away: the next hello asks again
    const badge = this.querySelector(".bell-count");
    badge.hidden = waiting === 0;
    badge.textContent = waiting > 99 ? "99+" : String(waiting);
  }
}

customElements.define("missed-badge", MissedBadge);

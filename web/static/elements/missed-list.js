// The list of missed callers follows what colleagues do. It is asked for again once nothing in it has the focus, and not at
// all while the reader is further down than its first page.

import { live } from "../live.js";

const PAUSE = 500;
const SPREAD = 1000; // browsers of a company hear at one moment and must not all ask at one
const PAGE_ROWS = 50;

class MissedList extends HTMLElement {
  #listeners = null;
  #due = 0;

  connectedCallback() {
    this.#listeners = new AbortController();
    live.addEventListener("message", ({ detail }) => this.#hear(detail.type), { signal: this.#listeners.signal });
  }

  disconnectedCallback() {
    this.#listeners.abort();
    clearTimeout(this.#due);
  }

  #hear(type) {
    if (type.startsWith("callback.")) this.#due ||= setTimeout(() => this.#ask(), PAUSE + Math.random() * SPREAD);
  }

  #ask() {
    if (this.contains(document.activeElement)) {
      this.#due = setTimeout(() => this.#ask(), PAUSE);
      return;
    }
    this.#due = 0;
    if (this.querySelectorAll("tr[data-row]").length > PAGE_ROWS) return;
    this.querySelector("[data-live]").dispatchEvent(new CustomEvent("missed-changed"));
  }
}

customElements.define("missed-list", MissedList);

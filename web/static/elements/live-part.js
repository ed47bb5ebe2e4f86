// A part of a page that is asked for again when the socket tells of something it shows: data-on names how the types begin.

import { live } from "../live.js";

const PAUSE = 400;

class LivePart extends HTMLElement {
  #listeners = null;
  #timer = 0;

  connectedCallback() {
    this.#listeners = new AbortController();
    live.addEventListener("message", ({ detail }) => this.#hear(detail), this.#listeners);
  }

  disconnectedCallback() {
    this.#listeners.abort();
    clearTimeout(this.#timer);
  }

  #hear({ type }) {
    if (!this.dataset.on.split(" ").some((begin) => type.startsWith(begin))) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.dispatchEvent(new CustomEvent("part-changed")), PAUSE);
  }
}

customElements.define("live-part", LivePart);

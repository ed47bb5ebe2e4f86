// A part of a page that is asked for again when the socket tells of something it shows: data-on names how the types begin.

import { live } from "../live.js";

const PAUSE = 400;

class LivePart extends HTMLElement {
  #listeners = null;
  #timer = 0;
  #since = 0;

  connectedCallback() {
    this.#since = Date.now();
    this.#listeners = new AbortController();
    live.addEventListener("message", ({ detail }) => this.#hear(detail), this.#listeners);
  }

  disconnectedCallback() {
    this.#listeners.abort();
    clearTimeout(this.#timer);
  }

  #hear({ type, topic }) {
    if (topic) return; // of a board, in this tab or another one
    // After a lost connection the part may be old; the first picture after the page came is as old as the page.
    const isBack = type === "hello" && Date.now() - this.#since > 2000;
    if (!isBack && !this.dataset.on.split(" ").some((begin) => type.startsWith(begin))) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.dispatchEvent(new CustomEvent("part-changed")), PAUSE);
  }
}

customElements.define("live-part", LivePart);

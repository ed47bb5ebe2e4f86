// The live board: asks for its rows again when the socket tells of a change, at most twice a second.

import { live } from "../live.js";

const PAUSE = 500;

class LiveBoard extends HTMLElement {
  #listeners = null;
  #due = 0;

  connectedCallback() {
    this.#listeners = new AbortController();
    live.addEventListener("message", ({ detail }) => detail.topic === "calls" && this.#soon(), this.#listeners);
    live.follow("calls");
  }

  disconnectedCallback() {
    this.#listeners.abort();
    clearTimeout(this.#due);
    live.unfollow("calls");
  }

  #soon() {
    if (this.#due) return;
    this.#due = setTimeout(() => {
      this.#due = 0;
      this.firstElementChild?.dispatchEvent(new CustomEvent("board-changed"));
    }, PAUSE);
  }
}

customElements.define("live-board", LiveBoard);

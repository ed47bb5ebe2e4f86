// A form that keeps what is typed on the server, two seconds after the last key, and at once when its page is left.

import { ask } from "../ask.js";
import { t } from "../messages.js";

const PAUSE = 2000;

class FormDraft extends HTMLElement {
  #listeners = null;
  #timer = 0;
  #isSent = false;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.addEventListener("input", () => this.#soon(), { signal });
    this.addEventListener("submit", () => this.#stop(), { signal });
    addEventListener("pagehide", () => this.#leave(), { signal });
  }

  disconnectedCallback() {
    this.#leave();
    this.#listeners.abort();
  }

  #soon() {
    this.#isSent = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#keep(), PAUSE);
  }

  #stop() {
    this.#isSent = true;
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  #leave() {
    if (this.#timer && !this.#isSent) this.#keep();
  }

  async #keep() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const body = new URLSearchParams(new FormData(this.querySelector("form")));
    const answer = await ask(this.dataset.keep, { method: "POST", body, keepalive: true });
    const state = this.querySelector("[data-draft-state]");
    if (state) state.textContent = answer?.ok ? t("Draft kept") : t("The draft is not kept: no link to the server");
  }
}

customElements.define("form-draft", FormDraft);

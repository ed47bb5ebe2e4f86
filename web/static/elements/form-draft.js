// A form that keeps what is typed on the server, two seconds after the last key, and at once when its page is left. What the
// server cannot keep now outlives a reload of this tab, and is sent again until it can.

import { ask } from "../ask.js";
import { t } from "../messages.js";

const PAUSE = 2000;
const LAST_RETRY = 30_000;
const KEPT_FOR = 3_600_000;
const FAILED = 500; // and above: nobody judged the draft
const NOT_COMPARED = new Set(["version", "key"]); // hidden fields that are others each time the form comes

class FormDraft extends HTMLElement {
  #listeners = null;
  #timer = 0;
  #retry = PAUSE;
  #isSent = false;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.addEventListener("input", () => this.#soon(PAUSE), { signal });
    this.addEventListener("submit", () => this.#stop(), { signal });
    this.addEventListener("htmx:response:error", ({ detail }) => detail.ctx.response.status >= FAILED && this.#notSaved(), { signal });
    this.addEventListener("htmx:error", () => this.#notSaved(), { signal });
    this.addEventListener("click", ({ target }) => target.closest("[data-drop]") && this.#stop(), { signal });
    addEventListener("pagehide", () => this.#leave(), { signal });
    this.#bringBack();
  }

  disconnectedCallback() {
    if (this.#isSent) this.#forget();
    this.#leave();
    this.#listeners.abort();
  }

  get #form() {
    return this.querySelector("form");
  }

  get #typed() {
    return new URLSearchParams(new FormData(this.#form)).toString();
  }

  #soon(pause) {
    this.#isSent = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#keep(), pause);
  }

  #stop() {
    this.#isSent = true;
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  // It was sent, and nobody stored it: it is a draft again.
  #notSaved() {
    if (this.#isSent) this.#soon(0);
  }

  #leave() {
    if (this.#timer && !this.#isSent) this.#keep();
  }

  async #keep() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const typed = this.#typed;
    this.#keepHere(typed);
    const answer = await ask(this.dataset.keep, { method: "POST", body: new URLSearchParams(typed), keepalive: true });
    if (answer?.ok) this.#kept(typed);
    else if (!answer || answer.status >= FAILED) this.#tryAgain();
    else this.#tell(t("The draft is not kept"));
  }

  #kept(typed) {
    this.#retry = PAUSE;
    if (this.#here()?.typed === typed) this.#forget();
    this.#tell(t("Draft kept"));
  }

  #tryAgain() {
    this.#tell(t("Kept in this browser until the server answers"));
    this.#retry = Math.min(this.#retry * 2, LAST_RETRY);
    if (this.isConnected && !this.#timer && !this.#isSent) this.#soon(this.#retry);
  }

  #tell(words) {
    const state = this.querySelector("[data-draft-state]");
    if (state) state.textContent = words;
  }

  get #place() {
    return `draft:${document.body.dataset.user}:${this.dataset.keep}`;
  }

  #here() {
    try {
      return JSON.parse(sessionStorage.getItem(this.#place));
    } catch {
      return null; // Storage is switched off: nothing was kept.
    }
  }

  #keepHere(typed) {
    try {
      sessionStorage.setItem(this.#place, JSON.stringify({ typed, at: Date.now() }));
    } catch {
      // Storage is switched off or full: the text stands in the form.
    }
  }

  #forget() {
    try {
      sessionStorage.removeItem(this.#place);
    } catch {
      // Storage is switched off: nothing was kept.
    }
  }

  // From before a reload: newer than what the server has, which could not keep it.
  #bringBack() {
    const kept = this.#here();
    if (!kept || Date.now() - kept.at > KEPT_FOR) return;
    const said = new URLSearchParams(kept.typed);
    const isAnother = [...this.#form.querySelectorAll("input[type=hidden]")].some(({ name, value }) => !NOT_COMPARED.has(name) && value !== said.get(name));
    if (isAnother) return;
    fill(this.#form, said);
    this.#soon(PAUSE);
  }
}

function fill(form, said) {
  for (const field of form.elements) {
    if (!field.name || field.matches("button, [type=submit]")) continue;
    if (field.matches("[type=checkbox], [type=radio]")) field.checked = said.getAll(field.name).includes(field.value);
    else if (said.has(field.name)) field.value = said.get(field.name);
  }
}

customElements.define("form-draft", FormDraft);

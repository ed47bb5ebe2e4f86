// The dial pad in the bottom bar; and every number on any page, which dials when it is clicked.

import { ask } from "../ask.js";
import { dial } from "../dial.js";
import { el, parsed } from "../dom.js";

const CLOSES_AFTER = 2500;
const DO_NOT_CALL = "DialRefused.do_not_call";

class DialPad extends HTMLElement {
  #listeners = null;
  #isLoaded = false;
  #isDialling = false;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.#button.addEventListener("click", () => this.#toggle(), { signal });
    this.#panel.addEventListener("click", (event) => this.#onClick(event), { signal });
    this.#panel.addEventListener("submit", (event) => this.#onSubmit(event), { signal });
    this.#panel.addEventListener("keydown", (event) => event.key === "Escape" && this.#close(), { signal });
    document.addEventListener("click", (event) => this.#onNumber(event), { signal });
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  get #button() {
    return this.querySelector(".dial-toggle");
  }

  get #panel() {
    return this.querySelector(".dial-panel");
  }

  get #field() {
    return this.#panel.querySelector("#dial-number");
  }

  async #toggle() {
    if (this.#panel.hidden) await this.#open();
    else this.#close();
  }

  async #open(number = null) {
    this.#panel.hidden = false;
    this.#button.setAttribute("aria-expanded", "true");
    if (!this.#isLoaded || number === null) await this.#load();
    if (number !== null) this.#write(number);
    this.#field?.focus();
  }

  #close() {
    this.#panel.hidden = true;
    this.#button.setAttribute("aria-expanded", "false");
    this.#button.focus({ preventScroll: true });
  }

  async #load() {
    const answer = await ask("/dial");
    if (!answer?.ok) return;
    this.#panel.replaceChildren(parsed(answer.text));
    globalThis.htmx?.process(this.#panel);
    this.#isLoaded = true;
  }

  #onClick({ target }) {
    const key = target.closest("[data-key]")?.dataset.key;
    const number = target.closest("[data-number]")?.dataset.number;
    if (key) this.#write((this.#field.value ?? "") + key);
    else if (number) this.#write(number);
    else return;
    this.#field.focus();
  }

  #write(number) {
    if (!this.#field) return;
    this.#field.value = number;
    this.#field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #onSubmit(event) {
    event.preventDefault();
    const number = this.#field.value.trim();
    if (number) this.#dial(number, this.#tellInPad);
  }

  // A link with a number, wherever it stands; with a modifier key the browser does what it always does.
  async #onNumber(event) {
    const link = event.target.closest?.('a[href^="tel:"]');
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const number = decodeURIComponent(link.getAttribute("href").slice(4));
    const told = await this.#dial(number, this.#tellAsNotice);
    if (told?.code !== DO_NOT_CALL || !this.hasAttribute("may-override")) return;
    await this.#open(number);
    this.#tellInPad(told.refused, "refused");
    this.#askForReason();
  }

  // One click is one call: until it is answered no other begins.
  async #dial(number, tell) {
    if (this.#isDialling) return null;
    this.#isDialling = true;
    this.toggleAttribute("is-dialling", true);
    try {
      const told = await dial({ number, ...this.#chosen() }, tell);
      if (told.code === DO_NOT_CALL && this.hasAttribute("may-override")) this.#askForReason();
      if (told.state === "ringing" && tell === this.#tellInPad) setTimeout(() => this.#close(), CLOSES_AFTER);
      return told;
    } finally {
      this.#isDialling = false;
      this.toggleAttribute("is-dialling", false);
    }
  }

  #chosen() {
    const [connection, line] = (this.#panel.querySelector("#dial-line")?.value ?? ":").split(":");
    const reason = this.#panel.querySelector("#dial-reason")?.value.trim();
    return {
      ...(connection ? { connection_id: Number(connection) } : {}),
      ...(line ? { line_id: Number(line) } : {}),
      ...(reason ? { override_reason: reason } : {}),
    };
  }

  #askForReason() {
    const box = this.#panel.querySelector("[data-dial-override]");
    if (!box) return;
    box.hidden = false;
    box.querySelector("input").focus();
  }

  #tellInPad = (words, state) => {
    const place = this.#panel.querySelector("[data-dial-outcome]");
    if (!place) return;
    place.dataset.state = state;
    place.replaceChildren(el("span", {}, words));
  };

  #tellAsNotice = (words, state) => {
    if (state !== "new") document.dispatchEvent(new CustomEvent("ringcard:notice", { detail: words }));
  };
}

customElements.define("dial-pad", DialPad);

// The card's own form in a call window: it comes when it is asked for, or when something typed in it during this call is not
// saved yet; then it takes no focus. Whatever becomes of the call, what was typed is a draft of the card.

import { ask } from "../ask.js";
import { parsed } from "../dom.js";
import { t } from "../messages.js";
import "./form-draft.js";
import "./record-watch.js";

const TOLD_FOR = 5000;
const FIRST = ["[aria-invalid=true]", ".conflict input", "[role=alert] a", "input:not([type=hidden])"]; // to be mended, else to begin with

class CallEdit extends HTMLElement {
  #listeners = null;
  #party = "";
  #closed = new Set(); // by their user: news of the call bring them back no more
  #refocuses = false;
  #takesFocus = false; // when it comes

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.addEventListener("submit", () => (this.#refocuses = this.#hasFocus), { signal });
    this.addEventListener("click", ({ target }) => this.#onClick(target), { signal });
    this.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => ctx.target === this && this.#swapped(), { signal });
  }

  disconnectedCallback() {
    if (this.isTyped) document.dispatchEvent(new CustomEvent("ringcard:notice", { detail: t("What you changed on the card is kept as your draft.") }));
    this.#listeners.abort();
  }

  get isOpen() {
    return this.#form !== null;
  }

  // Something stands there that is not stored on the card.
  get isTyped() {
    return this.isOpen && ("typed" in this.#form.dataset || [...this.#form.elements].some(isChanged));
  }

  get #form() {
    return this.querySelector("form");
  }

  get #hasFocus() {
    return this.contains(document.activeElement);
  }

  async open(party, isAsked) {
    if (isAsked) this.#closed.delete(party);
    else if (this.isOpen || this.#closed.has(party)) return;
    this.#takesFocus = isAsked || (this.#takesFocus && this.#party === party);
    if (this.#party === party && !this.isOpen) return; // on its way: a second one would take the place of what is typed meanwhile
    if (this.#party !== party) {
      this.#party = party;
      const answer = await ask(`/parties/${party}/edit/here`);
      if (!this.isConnected || this.#party !== party) return;
      if (!answer?.ok) return this.#failed(answer, this.#takesFocus);
      this.replaceChildren(parsed(answer.text));
      globalThis.htmx?.process(this);
      this.#tell("call-resized");
    }
    if (this.#takesFocus) this.#focusFirst();
    this.#takesFocus = false;
  }

  // «Save», by Ctrl+Enter.
  submit() {
    this.#form.requestSubmit();
  }

  #onClick(target) {
    if (target.closest("[data-drop]")) this.#refocuses = true;
    if (!target.closest("[data-edit-close]")) return;
    this.#closed.add(this.#party);
    this.#party = "";
    this.replaceChildren();
    this.#tell("call-edited", { isSaved: false });
  }

  #failed(answer, isAsked) {
    this.#party = "";
    const words = answer?.status === 503 ? t("The database does not answer. Calls go on; try again in a few seconds.") : t("The card cannot be opened for editing. Open it to see why.");
    if (isAsked) document.dispatchEvent(new CustomEvent("ringcard:notice", { detail: answer ? words : t("The server does not answer. Check the network.") }));
  }

  #swapped() {
    const told = this.querySelector("[data-edited]");
    if (!this.isOpen) this.#party = "";
    if (told) {
      setTimeout(() => told.remove(), TOLD_FOR);
      this.#tell("call-edited", { isSaved: true, hadFocus: this.#refocuses });
    } else if (this.#refocuses) {
      this.#focusFirst();
    }
    this.#refocuses = false;
    this.#tell("call-resized");
  }

  #focusFirst() {
    for (const selector of FIRST) {
      const found = this.querySelector(selector);
      if (found) return found.focus();
    }
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  }
}

function isChanged(field) {
  if (field.matches("[type=hidden], button")) return false;
  if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
  if (field.matches("select")) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected));
  return field.value !== field.defaultValue;
}

customElements.define("call-edit", CallEdit);

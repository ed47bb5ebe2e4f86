// «Кто звонит?» in a call window: keys of its search and list, and the focus that stays through each answer of the server.

import { ask } from "../ask.js";
import { t } from "../messages.js";

let refocus = null; // the id of the panel whose focus an answer is about to take away

class CallWho extends HTMLElement {
  #listeners = null;
  isTyped = false;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    this.addEventListener("input", () => this.#typed(), { signal });
    this.addEventListener("submit", () => this.#leave(), { signal });
    this.addEventListener("click", (event) => this.#onClick(event), { signal });
    if (refocus === this.id) this.#takeFocus();
    else this.#typed();
    // Not before the swap that brought it is over.
    if (this.hasAttribute("data-done")) setTimeout(() => this.dispatchEvent(new CustomEvent("caller-said", { bubbles: true })));
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  get search() {
    return this.querySelector("[data-who-search]") ?? this.querySelector("[data-who-name]");
  }

  get #rows() {
    return [...this.querySelectorAll("input[name=chosen][type=radio]")];
  }

  choose(nth) {
    const row = this.#rows[nth];
    if (!row) return false;
    row.checked = true;
    row.focus();
    return true;
  }

  #leave() {
    if (this.contains(document.activeElement)) refocus = this.id;
  }

  #takeFocus() {
    refocus = null;
    const target = this.querySelector("[data-refocus]") ?? this.search ?? this.closest("section");
    target?.focus({ preventScroll: true });
    this.#typed();
  }

  // «Создать» stays pale until something was typed.
  #typed() {
    const names = this.querySelectorAll("[data-who-name], [name=organisation]");
    const hasName = [...names].some((field) => field.value.trim());
    this.isTyped = hasName || Boolean(this.querySelector("[data-who-search]")?.value.trim());
    this.querySelector(".call-who-create")?.classList.toggle("is-ready", hasName);
  }

  #onKey(event) {
    if (event.target !== this.querySelector("[data-who-search]")) return;
    const isChosen = this.#rows.some((row) => row.checked);
    if (event.code === "ArrowDown" || (event.code === "Enter" && !isChosen)) {
      event.preventDefault(); // nobody is linked by an Enter that came before the choice
      this.choose(0);
    }
  }

  #onClick({ target }) {
    if (target.closest("[hx-post]:not(form)")) this.#leave();
    const wrong = target.closest("[data-who-wrong]");
    if (!wrong) return;
    // The outcome of the talk; without an answer its wrap-up asks, and the comment tells it anyhow.
    ask(wrong.dataset.whoWrong, { method: "POST", keepalive: true });
    this.dispatchEvent(new CustomEvent("caller-left-out", { bubbles: true, detail: t("Wrong number") }));
  }
}

customElements.define("call-who", CallWho);

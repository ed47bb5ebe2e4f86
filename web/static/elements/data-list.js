// A list one works in: rows ticked for an action on many, and the keyboard: J K move, Space ticks, N creates (crm-model 14).

import { tn } from "../messages.js";

const FIELDS = "input:not([type=checkbox]), textarea, select, [contenteditable]";

class DataList extends HTMLElement {
  #listeners = null;

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.addEventListener("change", (event) => this.#ticked(event.target), { signal });
    this.addEventListener("submit", (event) => this.#sendQuery(event.target), { signal, capture: true });
    document.addEventListener("keydown", (event) => this.#press(event), { signal });
    document.addEventListener("htmx:after:swap", () => this.#count(), { signal });
    this.#count();
  }

  disconnectedCallback() {
    this.#listeners.abort();
  }

  #boxes() {
    return [...this.querySelectorAll("input[name=ids]")];
  }

  #ticked(box) {
    if (box.matches("[data-tick-all]")) for (const each of this.#boxes()) each.checked = box.checked;
    if (box.type === "checkbox") this.#count();
  }

  #count() {
    const bar = this.querySelector("[data-mass]");
    if (!bar) return;
    const ticked = this.#boxes().filter((box) => box.checked).length;
    const isAll = bar.querySelector("[name=all]").checked;
    bar.hidden = ticked === 0 && !isAll;
    const text = isAll || ticked === 0 ? "" : tn("{n} row chosen", "{n} rows chosen", ticked);
    bar.querySelector("[data-mass-count]").textContent = text;
  }

  // What was chosen since the page came stands in the address; a form that saves or acts on it takes it along.
  #sendQuery(form) {
    const field = form.querySelector("[data-query]");
    if (field) field.value = location.search.slice(1);
  }

  #press(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    if (event.target instanceof HTMLElement && event.target.closest(`${FIELDS}, dialog, call-stack`)) return;
    const act = { KeyJ: () => this.#move(1), KeyK: () => this.#move(-1), Space: () => this.#tickRow(event), KeyN: () => this.#create() };
    if (act[event.code]?.()) event.preventDefault();
  }

  #move(step) {
    const rows = [...this.querySelectorAll("[data-row]")];
    const now = rows.indexOf(document.activeElement?.closest("[data-row]"));
    const next = rows[now < 0 ? 0 : now + step];
    next?.querySelector(".cell-main a")?.focus();
    next?.scrollIntoView({ block: "nearest" });
    return true;
  }

  // On the row's link only: a focused button or box has a Space of its own.
  #tickRow(event) {
    const box = event.target.closest?.("[data-row]")?.querySelector("input[name=ids]");
    if (!box || !event.target.matches(".cell-main a")) return false;
    box.checked = !box.checked;
    this.#count();
    return true;
  }

  #create() {
    const link = this.querySelector("[data-create]");
    link?.click();
    return Boolean(link);
  }
}

customElements.define("data-list", DataList);

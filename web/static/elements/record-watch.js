// Follows the records that a page shows: a card refreshes what nobody is editing, a list its row, a form says so.
// data-record="party:12": the card (with data-form: its form); data-also="party:5 lead:7": what else it shows. data-rows="/parties/clients": a list's address.
// data-whole: a board; all of it is drawn anew when one of the records on it changed.

import { ask } from "../ask.js";
import { parsed } from "../dom.js";
import { live } from "../live.js";
import { t } from "../messages.js";

const PIECES = ".page-head, section.card-box, [data-piece]";
const BUSY = "[data-busy], details[open]"; // somebody drags, or has a menu open
const LATER = 1000;
const SOON = 300; // several acts at once are asked for once

class RecordWatch extends HTMLElement {
  #listeners = null;
  #due = new Map(); // record → the timer that will ask for it

  // A list or a board, not one card.
  get #isOfMany() {
    return "rows" in this.dataset || "whole" in this.dataset;
  }

  get #shown() {
    return [this.dataset.record, ...(this.dataset.also ?? "").split(" ").filter(Boolean)];
  }

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    live.addEventListener("message", ({ detail }) => this.#hear(detail), { signal });
    this.addEventListener("htmx:after:swap", ({ target }) => this.#grown(target), { signal });
    this.#follow();
  }

  disconnectedCallback() {
    this.#listeners.abort();
    for (const timer of this.#due.values()) clearTimeout(timer);
    live.unfollowRecords(this);
  }

  #follow() {
    const shown = this.#isOfMany ? [...this.querySelectorAll("[data-record]")].map((row) => row.dataset.record) : this.#shown;
    live.followRecords(this, shown);
  }

  // A list got other rows; a piece of a card was unfolded further than a fresh one would be.
  #grown(target) {
    if (this.#isOfMany) this.#follow();
    else target.closest?.(PIECES)?.setAttribute("data-grown", "");
  }

  #hear({ type, data }) {
    if (type !== "record.changed") return;
    const record = `${data.kind}:${data.id}`;
    const isShown = this.#isOfMany ? this.querySelector(`[data-record="${record}"]`) : this.#shown.includes(record);
    if (!isShown || this.#due.has(record)) return;
    const act = () => {
      this.#due.delete(record);
      this.#changed(record, data);
    };
    this.#due.set(record, setTimeout(act, SOON));
  }

  #changed(record, data) {
    if ("rows" in this.dataset) this.#refreshRow(record, data);
    else if ("whole" in this.dataset) this.#refreshWhole();
    else if ("form" in this.dataset) this.#tell(data, t("When you save, you are shown what differs."));
    else this.#refreshCard(record, data);
  }

  async #refreshRow(record, { id, is_gone: isGone }) {
    const row = this.querySelector(`[data-record="${record}"]`);
    if (!row) return;
    if (isGone) {
      row.classList.add("is-gone");
      return;
    }
    const address = new URL(this.dataset.rows, location.origin);
    address.search = location.search;
    address.searchParams.set("row", id);
    const fresh = (await this.#ask(address))?.querySelector("tr");
    if (!fresh || !row.isConnected || row.contains(document.activeElement) || row.querySelector("details[open]")) return;
    const box = row.querySelector("input[name=ids]");
    if (box?.checked) fresh.querySelector("input[name=ids]").checked = true;
    fresh.classList.add("is-changed");
    row.replaceWith(fresh);
    globalThis.htmx?.process(fresh);
  }

  // Whoever has just grasped something goes on with it; the board follows when they let go.
  async #refreshWhole() {
    const fresh = (await this.#ask(location.href))?.querySelector("record-watch[data-whole]");
    if (!fresh || !this.isConnected) return;
    if (this.querySelector(BUSY)) {
      if (!this.#due.has("")) this.#due.set("", setTimeout(() => { this.#due.delete(""); this.#refreshWhole(); }, LATER));
      return;
    }
    const focused = document.activeElement?.closest("[data-record]")?.dataset.record;
    this.replaceChildren(...fresh.childNodes);
    globalThis.htmx?.process(this);
    if (focused) this.querySelector(`[data-record="${focused}"] a`)?.focus();
    this.#follow();
  }

  async #refreshCard(record, data) {
    if (data.is_gone && record === this.dataset.record) {
      this.#tell(data, t("The record is no longer here: it was deleted, or merged into another one."));
      return;
    }
    const fresh = await this.#ask(location.href);
    if (!fresh || !this.isConnected) return;
    if (this.#isShapedAnew(fresh)) {
      this.replaceChildren(...fresh.querySelector("record-watch").childNodes);
      globalThis.htmx?.process(this);
      this.#tell(data, "");
      return;
    }
    const left = this.#pieces(this).filter((piece) => !this.#renew(piece, fresh));
    const more = left.length ? t("What you are working at was left as it was.") : "";
    this.#tell(data, more);
  }

  // Whether other pieces belong on the card now (an ended lead can be reopened, and not edited), and nobody works at it.
  #isShapedAnew(fresh) {
    const names = (root) => this.#pieces(root).map(nameOf).join();
    const same = names(this) === names(fresh);
    return !same && fresh.querySelector("record-watch") && !this.#pieces(this).some(isEdited);
  }

  #pieces(root) {
    return [...root.querySelectorAll(PIECES)];
  }

  // Whether the piece is as the server tells it now.
  #renew(piece, fresh) {
    const other = this.#pieces(fresh).find((each) => nameOf(each) === nameOf(piece));
    if (!other || piece.isEqualNode(other)) return true;
    if (isEdited(piece)) return false;
    piece.replaceWith(other);
    globalThis.htmx?.process(other);
    return true;
  }

  async #ask(address) {
    const answer = await ask(address, { headers: { "HX-Request": "true", "HX-Request-Type": "partial" } });
    return answer?.ok ? parsed(answer.text) : null; // no link: the next change asks again
  }

  // What one did oneself, in another tab, needs no words.
  #tell({ by_id: byId, by }, more) {
    const note = this.querySelector("[data-watch-note]");
    if (!note || (String(byId) === document.body.dataset.user && !more)) return;
    note.textContent = `${t("{name} changed this record.", { name: by ?? t("The program") })} ${more}`.trim();
    note.hidden = false;
  }
}

function nameOf(piece) {
  return piece.getAttribute("aria-labelledby") ?? piece.dataset.piece ?? "";
}

function isEdited(piece) {
  if (piece.hasAttribute("data-grown") || piece.contains(document.activeElement)) return true;
  if (piece.querySelector("details[open]")) return true;
  return [...piece.querySelectorAll("input, textarea")].some((field) =>
    field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue,
  );
}

customElements.define("record-watch", RecordWatch);

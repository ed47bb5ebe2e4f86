// The comment of a call: stored two seconds after the first new letter and when the field is left; the latest text of
// another tab appears here as long as nothing is being typed. What cannot be stored now outlives a reload of this tab.

import { ask } from "../ask.js";
import { el } from "../dom.js";
import { t } from "../messages.js";

const SAVE_AFTER = 2000;
const LAST_RETRY = 30_000;
const KEPT_FOR = 3_600_000;
let made = 0;

class CallNote extends HTMLElement {
  #field = null;
  #state = null;
  #version = -1; // nobody told yet
  #keptOver = -1; // the version that a text from before the reload was typed over
  #isBroughtBack = false; // and nobody typed since
  #stored = "";
  #timer = 0;
  #retry = SAVE_AFTER;
  #running = null;
  #isLoaded = false;
  #listeners = null;

  connectedCallback() {
    if (!this.#field) this.#build();
    this.#listeners = new AbortController();
    addEventListener("pagehide", () => this.#isDirty && (this.#keep(), this.#send(true)), this.#listeners);
    this.#bringBack();
  }

  disconnectedCallback() {
    this.#listeners.abort();
    clearTimeout(this.#timer);
    if (this.#isDirty) this.#save();
  }

  get callId() {
    return this.getAttribute("call");
  }

  get isBusy() {
    return this.#isDirty || document.activeElement === this.#field;
  }

  get #isDirty() {
    return this.#field !== null && this.#field.value !== this.#stored;
  }

  focusField() {
    this.#field.focus();
  }

  // A line more, stored at once.
  add(line) {
    if (!this.#field) this.#build();
    this.#isBroughtBack = false;
    this.#field.value = [this.#field.value.trimEnd(), line].filter(Boolean).join("\n");
    this.#save();
  }

  flush() {
    if (this.#isDirty) this.#save();
  }

  // Resolves once everything typed so far is stored, or could not be.
  async saved() {
    await this.#save();
    await this.#save(); // what was typed while the first was under way
  }

  // What is stored, told by another tab or by the picture of the call
  take({ text, version }) {
    if (version <= this.#version) return;
    if (!this.#field) this.#build();
    this.#isLoaded = true;
    const wasDirty = this.#isDirty && !this.#givesWay(version);
    this.#version = version;
    this.#stored = text;
    if (!wasDirty) this.#field.value = text;
    if (this.isConnected && !this.#isDirty) this.#forget(); // before that nobody looked at what was kept
  }

  // A text from before the reload was stored then, or another tab has gone on since.
  #givesWay(version) {
    return this.#isBroughtBack && this.#keptOver >= 0 && version > this.#keptOver;
  }

  async load() {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    const answer = await ask(this.#address);
    const told = answer?.ok ? answer.json() : null;
    if (told) this.take(told);
    else this.#isLoaded = answer !== null; // 404: not ours to comment; no answer: ask again later
  }

  get #address() {
    return `/calls/${this.callId}/note`;
  }

  #build() {
    const id = `call-note-${++made}`;
    this.#field = el("textarea", {
      id,
      class: "form-control",
      rows: 3,
      maxlength: 10_000,
      placeholder: t("What was agreed…"),
      "aria-keyshortcuts": "Alt+C",
    });
    this.#state = el("span", { class: "note-state", role: "status" });
    this.#field.addEventListener("input", () => this.#typed());
    this.#field.addEventListener("blur", () => this.#isDirty && this.#save());
    this.append(el("label", { for: id }, t("Comment")), this.#state, this.#field);
  }

  #typed() {
    this.#isBroughtBack = false;
    this.#saveSoon();
  }

  #saveSoon() {
    this.#state.textContent = "";
    if (!this.#timer) this.#timer = setTimeout(() => this.#save(), SAVE_AFTER);
  }

  // One at a time.
  #save() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (!this.#running && this.#isDirty) this.#running = this.#store().finally(() => (this.#running = null));
    return this.#running;
  }

  async #store() {
    const text = this.#field.value;
    const answer = await this.#send(false);
    const told = answer?.ok || answer?.status === 409 ? answer.json() : null; // a proxy's page is no answer of ours
    if (told) this.#takeAnswer(told, text, answer.ok);
    else this.#failed();
    if (this.#isDirty && !this.#timer) this.#timer = setTimeout(() => this.#save(), this.#retry);
  }

  #send(keepalive) {
    return ask(this.#address, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text: this.#field.value, version: Math.max(this.#version, 0) }),
      keepalive,
    });
  }

  // 409: another tab was faster. Whoever types here goes on; the next save is over the version that is there now.
  #takeAnswer({ text, version }, sent, isOurs) {
    this.#version = Math.max(this.#version, version);
    this.#stored = isOurs ? sent : text;
    if (!isOurs && this.#givesWay(version)) this.#field.value = text;
    this.#retry = SAVE_AFTER;
    if (this.#isDirty) return;
    this.#state.textContent = t("saved");
    this.#forget();
  }

  #failed() {
    this.#state.textContent = t("not saved");
    this.#retry = Math.min(this.#retry * 2, LAST_RETRY);
    this.#keep();
  }

  get #place() {
    return `note:${document.body.dataset.user}:${this.callId}`;
  }

  #keep() {
    try {
      sessionStorage.setItem(this.#place, JSON.stringify({ text: this.#field.value, version: Math.max(this.#version, this.#keptOver), at: Date.now() }));
    } catch {
      // Storage is switched off or full: the text stands in the field.
    }
  }

  #forget() {
    try {
      sessionStorage.removeItem(this.#place);
    } catch {
      // Storage is switched off: nothing was kept.
    }
  }

  #bringBack() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.#place));
      if (!kept || this.#isDirty || Date.now() - kept.at > KEPT_FOR) return;
      this.#keptOver = kept.version ?? -1;
      this.#isBroughtBack = true;
      if (this.#givesWay(this.#version)) return this.#forget();
      this.#field.value = kept.text;
      if (this.#isDirty) this.#saveSoon();
    } catch {
      // Storage is switched off: nothing was kept.
    }
  }
}

customElements.define("call-note", CallNote);

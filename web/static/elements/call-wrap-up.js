// «Обработка» in the window of a talk that is over: what came of it, the time left, one more minute, done. The comment is
// the window's own, saved before anything is judged.

import { ask } from "../ask.js";
import { duration } from "../clock.js";
import { parsed } from "../dom.js";
import { live } from "../live.js";
import { t } from "../messages.js";

class CallWrapUp extends HTMLElement {
  #listeners = null;
  #call = null;
  #due = 0;
  #timer = 0;
  #isSending = false;
  #turn = 0; // what was asked for in an earlier one comes too late

  connectedCallback() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    this.addEventListener("submit", (event) => this.#finish(event), { signal });
    this.addEventListener("click", ({ target }) => target.closest("[data-more]") && this.#prolong(), { signal });
  }

  disconnectedCallback() {
    this.#listeners.abort();
    clearInterval(this.#timer);
  }

  // Whether there is something to wrap up here, in time or not.
  get isOpen() {
    return this.childElementCount > 0;
  }

  // Nothing comes (204) until the journal has stored the end: `wrap_up.started` tells when.
  async load(call) {
    this.#call = call;
    const turn = this.#turn;
    const answer = await ask(this.#address("form"));
    if (answer?.status === 200 && this.isConnected && turn === this.#turn) this.#show(answer.text);
  }

  // The call came back to its agent: what follows a talk waits for its end.
  putAway() {
    this.#turn += 1;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.replaceChildren();
  }

  until(moment) {
    this.#due = Date.parse(moment);
    this.#tick();
  }

  #address(what) {
    return `/wrap-up/${this.#call}/${what}`;
  }

  #show(html) {
    const form = parsed(html).querySelector("form");
    if (form.hasAttribute("data-finished")) return;
    this.replaceChildren(form);
    this.#due = Date.parse(form.dataset.due);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), 1000);
    this.#tick();
    this.#tell("wrap-up-begun");
  }

  #tick() {
    const left = this.#due - live.now();
    const place = this.querySelector("[data-left]");
    if (place) place.textContent = left > 0 ? t("{time} left", { time: duration(left + 999) }) : t("Time is up");
    if (left > 0 || !this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#tell("wrap-up-over");
  }

  async #prolong() {
    const answer = await ask(this.#address("extend"), { method: "POST" });
    const told = answer?.json();
    if (answer?.ok && told) this.#goOn(told.due_at);
    else this.#notice(told?.problem);
  }

  #goOn(dueAt) {
    if (!this.isOpen) return;
    this.#timer ||= setInterval(() => this.#tick(), 1000);
    this.until(dueAt);
  }

  // Once for each press. What is refused stays as it was chosen, with the reason.
  async #finish(event) {
    event.preventDefault();
    if (this.#isSending) return;
    this.#isSending = true;
    const turn = this.#turn;
    const body = new URLSearchParams(new FormData(event.target));
    await this.closest("call-window").note?.saved();
    const answer = await ask(this.#address("form"), { method: "POST", body });
    this.#isSending = false;
    if (turn !== this.#turn) return;
    if (answer?.status === 204) this.#tell("wrap-up-done");
    else if (answer?.status === 422) this.#refused(answer.text);
    else this.#notice();
  }

  #refused(html) {
    this.#show(html);
    (this.querySelector("input:checked") ?? this.querySelector("input[type=radio]"))?.focus({ preventScroll: true });
  }

  #notice(words = t("The server does not answer. Check the network.")) {
    document.dispatchEvent(new CustomEvent("ringcard:notice", { detail: words }));
  }

  #tell(name) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true }));
  }
}

customElements.define("call-wrap-up", CallWrapUp);

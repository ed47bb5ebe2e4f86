// What can be done to a call from its window, as the server offers it; and the card that came with a call passed on.

import { ask } from "../ask.js";
import { post } from "../dial.js";
import { button, el, parsed } from "../dom.js";
import { t } from "../messages.js";

const PASSING_ON = ["transfer", "consult", "deflect"];
// The keys of call windows (crm/shortcuts.py) that press these.
const KEYS = { transfer: "transfer", decline: "hang_up", hang_up: "hang_up", park: "hold", mute: "mute" };
const MEANING_AFTER = 200;
let made = 0;

class CallControls extends HTMLElement {
  #call = null;
  #shown = "";
  #panel = null;
  #timer = 0;

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  show(call) {
    this.#call = call;
    const wanted = JSON.stringify([call.id, call.controls, call.is_recording_paused, call.is_muted, call.card, call.phone_text]);
    if (wanted === this.#shown) return;
    this.#shown = wanted;
    const card = call.card ? [handOverCard(call)] : [];
    const keepsPanel = this.#panel && call.controls.some((name) => this.#panel.dataset.of.split(" ").includes(name));
    if (!keepsPanel) this.#panel = null;
    this.replaceChildren(...card, this.#row(call), ...(this.#panel ? [this.#panel] : []));
    this.hidden = !call.card && call.controls.length === 0;
  }

  #row(call) {
    const has = new Set(call.controls);
    const row = el("div", { class: "control-row", role: "group", "aria-label": t("Control of the call") });
    const add = (name, icon, label, act) => {
      const one = button(icon, label, act, "control-button");
      one.dataset.control = name;
      if (KEYS[name]) one.dataset.key = KEYS[name];
      row.append(one);
    };
    if (has.has("park")) add("park", "phone-pause", t("Park the call"), () => this.#do({ action: "park" }));
    if (has.has("mute")) add("mute", "microphone-off", call.is_muted ? t("Switch the microphone on") : t("Mute the microphone"), () => this.#do({ action: call.is_muted ? "unmute" : "mute" }));
    row.querySelector("[data-control=mute]")?.toggleAttribute("data-on", call.is_muted);
    if (has.has("pause_recording")) this.#addRecording(add, call.is_recording_paused);
    if (has.has("keys")) add("keys", "keyboard", t("Keypad"), () => this.#toggle("keys", () => this.#keysPanel()));
    if (has.has("cancel_consult")) add("cancel_consult", "arrow-left", t("Back to the customer"), () => this.#do({ action: "cancel_consult" }));
    if (PASSING_ON.some((name) => has.has(name))) add("transfer", "arrows-exchange", t("Pass on"), () => this.#toggle(PASSING_ON.join(" "), () => this.#transferPanel()));
    if (has.has("decline")) add("decline", "phone-x", t("Decline"), () => this.#do({ action: "decline" }));
    if (has.has("hang_up")) add("hang_up", "phone-off", has.has("cancel_consult") ? t("Pass on and hang up") : t("Hang up"), () => this.#do({ action: "hang_up" }));
    return row;
  }

  #addRecording(add, isPaused) {
    if (isPaused) add("resume_recording", "player-record", t("Go on recording"), () => this.#do({ action: "resume_recording" }));
    else add("pause_recording", "player-pause", t("Pause the recording"), () => this.#do({ action: "pause_recording" }));
  }

  #toggle(of, build) {
    const wasOpen = this.#panel?.dataset.of === of;
    this.#panel?.remove();
    this.#panel = wasOpen ? null : build();
    if (!this.#panel) return;
    this.#panel.dataset.of = of;
    this.append(this.#panel);
    this.#panel.querySelector("input, button").focus();
  }

  #keysPanel() {
    const keys = [..."123456789*0#"].map((key) => {
      const one = el("button", { type: "button", class: "dial-key" }, key);
      one.addEventListener("click", () => this.#do({ action: "keys", keys: key }));
      return one;
    });
    return el("div", { class: "control-panel" }, el("div", { class: "dial-keys", role: "group", "aria-label": t("Keypad") }, ...keys), this.#outcome());
  }

  #transferPanel() {
    const number = (made += 1);
    const to = el("input", { class: "form-control", id: `to-${number}`, name: "to", maxlength: 100, autocomplete: "off" });
    const reason = el("input", { class: "form-control", id: `reason-${number}`, name: "reason", maxlength: 200, autocomplete: "off" });
    const note = el("textarea", { class: "form-control", id: `note-${number}`, name: "note", rows: 2, maxlength: 2000 });
    const found = el("ul", { class: "dial-hits" });
    to.addEventListener("input", () => this.#find(to, found));
    found.addEventListener("click", ({ target }) => this.#choose(target, to, found));
    const panel = el(
      "form",
      { class: "control-panel" },
      labelled(t("To whom: a colleague or a number"), to),
      found,
      labelled(t("Reason"), reason),
      labelled(t("Note for the colleague"), note),
      el("div", { class: "control-actions" }, ...this.#passingButtons()),
      this.#outcome(),
    );
    panel.addEventListener("submit", (event) => this.#passOn(event, { to, reason, note }));
    this.#find(to, found);
    return panel;
  }

  #passingButtons() {
    const words = { transfer: t("Pass on now"), consult: t("Talk to them first"), deflect: t("Send there") };
    return PASSING_ON.filter((name) => this.#call.controls.includes(name)).map((name, place) =>
      el("button", { type: "submit", class: `btn btn-sm ${place ? "btn-outline-secondary" : "btn-primary"}`, value: name }, words[name]),
    );
  }

  #passOn(event, { to, reason, note }) {
    event.preventDefault();
    const action = event.submitter?.value ?? event.target.querySelector("[type=submit]").value;
    if (to.value.trim()) this.#do({ action, to: to.value.trim(), reason: reason.value, note: note.value });
    else to.focus();
  }

  #find(to, found) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      const query = new URLSearchParams({ to: to.value });
      const answer = await ask(`/calls/${this.#call.id}/colleagues?${query}`);
      if (answer?.ok) found.replaceChildren(parsed(answer.text));
    }, MEANING_AFTER);
  }

  #choose(target, to, found) {
    const chosen = target.closest("[data-to]")?.dataset.to;
    if (!chosen) return;
    to.value = chosen;
    found.replaceChildren();
    to.focus();
  }

  #outcome() {
    return el("p", { class: "dial-outcome", role: "status" });
  }

  // Once for each press: nothing is sent again by itself.
  async #do(order) {
    if (this.hasAttribute("is-busy")) return;
    this.toggleAttribute("is-busy", true);
    const answer = await post(`/api/v1/live/${this.#call.id}/actions`, order);
    this.toggleAttribute("is-busy", false);
    const told = answer?.json() ?? {};
    const words = answer ? wordsOf(answer, told) : t("The server does not answer. Check the network.");
    const place = this.#panel?.querySelector(".dial-outcome");
    if (place) place.textContent = words;
    else if (words) document.dispatchEvent(new CustomEvent("ringcard:notice", { detail: words }));
  }
}

function wordsOf(answer, told) {
  if (answer.status === 503) return t("The database does not answer, so your rights cannot be checked. Use your telephone itself.");
  if (!answer.ok) return told.detail ?? t("The server could not do this. Try again, or tell your administrator.");
  return {
    done: "",
    refused: t("The PBX refused: {why}", { why: told.detail }),
    not_sent: t("Not done: there is no connection to the PBX."),
    unknown: t("It is not known whether it was done: the PBX did not answer."),
  }[told.outcome];
}

function labelled(label, field) {
  return el("div", { class: "field" }, el("label", { class: "form-label", for: field.id }, label), field);
}

function handOverCard({ card: { by, reason, note, caller }, phone, phone_text: text }) {
  return el(
    "section",
    { class: "hand-over-card", "aria-label": t("From the colleague") },
    el("p", { class: "pop-soft" }, t("{name} passes the call on", { name: by })),
    reason ? el("p", { class: "hand-over-reason" }, reason) : null,
    note ? el("p", { class: "hand-over-note" }, note) : null,
    caller ? el("p", { class: "pop-soft" }, t("Calls: {number}", { number: caller === phone ? text : caller })) : null,
  );
}

customElements.define("call-controls", CallControls);

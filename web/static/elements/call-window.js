// One call's window. The first picture is drawn from the message alone; the server's details replace it when they come.

import "./call-clock.js";
import "./call-controls.js";
import "./call-note.js";
import "./call-who.js";
import { button, el, icon, parsed } from "../dom.js";
import { live } from "../live.js";
import { t } from "../messages.js";

const OPEN = new Set(["ringing", "lift", "dialling", "talking", "held"]);
const TALK = new Set(["talking", "held"]);
const CLOSES_AFTER = { elsewhere: 3000, caller_left: 10_000, ended: 15_000 };
const STAYS_WITH_COMMENT = 60_000;
const TO_IDENTIFY = new Set(["unknown", "ambiguous", "hidden"]);
const DETAILS_WITHOUT_MATCH = 1000; // the match should be here by then; if not, region and type are

class CallWindow extends HTMLElement {
  #call = null;
  #parts = null;
  #timer = 0;
  #detailsOf = null;
  #isTouched = false;
  #whoOf = null; // the call whose panel «Кто звонит?» was asked for, or left

  connectedCallback() {
    this.addEventListener("caller-said", () => this.#wantWho(this.#call));
    this.addEventListener("caller-left-out", ({ detail }) => this.#leaveOut(detail));
    this.addEventListener("pointerdown", () => (this.#isTouched = true));
    this.addEventListener("focusin", () => (this.#isTouched = true));
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    this.#detailsOf = null;
  }

  get call() {
    return this.#call;
  }

  get isOpenCall() {
    return OPEN.has(this.#call.state);
  }

  get note() {
    return this.#parts.note;
  }

  get isShrunk() {
    return this.hasAttribute("shrunk");
  }

  show(call) {
    const before = this.#call;
    this.#call = call;
    if (!this.#parts) this.#build();
    this.dataset.state = call.state;
    this.dataset.direction = call.direction;
    this.#showHead(call);
    this.#showHandOver(call);
    this.#showWho(call, before);
    this.#showNote(call);
    this.#showEnd(call);
    this.#parts.controls.show(call);
    if (!before || before.state !== call.state) this.#stateChanged(call);
    if (call.note) this.#parts.note?.take(call.note);
    this.#wantDetails(call);
    this.#wantWho(call);
  }

  // Shrinking never discards: the window becomes a line, the text stays.
  shrink(isShrunk = !this.isShrunk) {
    this.toggleAttribute("shrunk", isShrunk);
    this.#parts.shrink.setAttribute("aria-expanded", String(!isShrunk));
    this.#tellSize();
  }

  // Much larger or smaller than before: the others make room, or take it back.
  #tellSize() {
    this.dispatchEvent(new CustomEvent("call-resized", { bubbles: true }));
  }

  focusInside() {
    this.shrink(false);
    if (this.note) this.note.focusField();
    else this.#parts.section.focus();
  }

  openCard() {
    this.querySelector("a[data-card]")?.click();
  }

  // The button of an action, where the window has it now.
  buttonOf(action) {
    const found = this.querySelector(`[data-key="${action}"]:not([disabled])`);
    return found?.closest("[hidden]") ? null : found;
  }

  // The nth of what can be chosen here: a found client, a candidate, an outcome of the call. Choosing marks.
  choose(nth) {
    if (this.querySelector("call-who")?.choose(nth)) return;
    const choices = this.querySelectorAll(".pop-candidates a, [data-choice]");
    choices[nth]?.focus();
    if (choices[nth]?.matches("[data-choice]")) choices[nth].click();
  }

  // «Кто звонит?», also for a call that has a client already.
  async identify() {
    if (!this.querySelector("call-who")) await this.#fetchWho();
    this.querySelector("call-who")?.search?.focus();
  }

  // «Готово»: what was typed is stored; a window that is over closes.
  finish() {
    const done = this.buttonOf("done");
    if (done) return done.click();
    this.note?.flush();
    if (!this.isOpenCall) this.#dismiss();
  }

  #build() {
    const state = el("span", { class: "call-state-mark" });
    const line = el("span", { class: "call-line" });
    const caller = el("span", { class: "call-caller" });
    const clock = el("call-clock", { class: "call-timer" });
    const shrink = button("minus", t("Shrink or show (Alt+Q)"), () => this.shrink());
    shrink.setAttribute("aria-expanded", "true");
    const close = button("x", t("Close"), () => this.#dismiss());
    const passed = el("p", { class: "call-passed pop-soft", hidden: true });
    const who = el("div", { class: "call-who" });
    const details = el("div", { class: "call-details" });
    const asked = el("div", { class: "call-asked" });
    const end = el("p", { class: "call-end", hidden: true });
    const controls = el("call-controls");
    const body = el("div", { class: "call-body" }, passed, who, details, asked, controls, end);
    const head = el("header", { class: "call-head" }, state, caller, line, clock, shrink, close);
    const news = el("p", { class: "visually-hidden", "aria-live": "assertive" });
    const section = el("section", { class: "call-window", role: "region", tabindex: -1 }, head, body, news);
    this.#parts = { section, state, caller, line, clock, shrink, close, passed, who, details, asked, controls, end, body, news, note: null };
    this.append(section);
  }

  #showHead(call) {
    const { state, line, clock, close } = this.#parts;
    const [iconName, word] = stateWords(call);
    state.replaceChildren(icon(iconName), el("span", { class: "call-state-word" }, word));
    const parts = lineName(call) ? [el("span", { class: "call-line-name" }, lineName(call))] : [];
    if (call.line_colour) parts.unshift(lineDot(call.line_colour));
    if (call.queue) parts.push(el("span", { class: "call-queue" }, t("queue “{name}”", { name: call.queue })));
    line.replaceChildren(...parts);
    line.hidden = parts.length === 0;
    clock.setAttribute("since", clockStart(call) ?? "");
    clock.hidden = !this.isOpenCall || !clockStart(call);
    close.hidden = this.isOpenCall;
  }

  // Whom the caller talked to before, and whether this user was asked.
  #showHandOver(call) {
    const { passed } = this.#parts;
    passed.hidden = !call.handed_over;
    passed.textContent = call.handed_over ? handOverWords(call.handed_over) : "";
  }

  // Until the server's details are there: who, as far as the message knows.
  #showWho(call, before) {
    const { section, who } = this.#parts;
    section.setAttribute("aria-label", `${stateWords(call)[1]}: ${callerName(call)}`);
    this.setAttribute("caller", callerName(call));
    this.#parts.caller.textContent = callerName(call);
    if (before && before.phone === call.phone && sameMatch(before, call) && before.colleague === call.colleague) return;
    who.replaceChildren(...whoLines(call));
    who.hidden = false;
    this.#parts.details.replaceChildren();
    this.#detailsOf = null;
  }

  #showNote(call) {
    const { body } = this.#parts;
    this.#parts.note?.setAttribute("call", call.id);
    const hasTalked = call.state === "ended" && call.answered_at !== null;
    if (this.#parts.note || !(TALK.has(call.state) || hasTalked)) return;
    this.#parts.note = el("call-note", { call: call.id });
    body.append(this.#parts.note);
    if (!call.note) this.#parts.note.load();
  }

  #showEnd(call) {
    const { end } = this.#parts;
    const words = this.isOpenCall ? "" : endWords(call);
    end.hidden = words === "" || words === stateWords(call)[1]; // not twice what the head says
    end.textContent = words;
  }

  #stateChanged(call) {
    clearTimeout(this.#timer);
    const passedOn = call.handed_over ? handOverWords(call.handed_over) : "";
    this.#parts.news.textContent = this.isOpenCall
      ? [`${stateWords(call)[1]}: ${callerName(call)}`, lineName(call), passedOn].filter(Boolean).join(", ")
      : endWords(call);
    if (this.isOpenCall) return;
    const isOver = call.state === "stopped" || (call.state === "ended" && !call.answered_at && !call.reason);
    this.#timer = setTimeout(() => this.#closeByItself(), isOver ? 0 : this.#remaining(call));
  }

  // From the call's end, not from when this page heard of it: a reload changes nothing.
  #remaining(call) {
    const shown = call.note?.text ? STAYS_WITH_COMMENT : (CLOSES_AFTER[call.state] ?? 0);
    const ended = call.ended_at ? Date.parse(call.ended_at) : live.now();
    return Math.max(0, Math.min(shown, ended + shown - live.now()));
  }

  #closeByItself() {
    const isInUse = this.#parts.note?.isBusy || this.querySelector("call-who")?.isTyped || (this.#isTouched && this.#call.state !== "elsewhere");
    if (!isInUse || this.#call.state === "stopped") this.#gone();
    else if (this.#parts.note?.isBusy || this.querySelector("call-who")?.isTyped) this.#timer = setTimeout(() => this.#closeByItself(), 5000);
  }

  #dismiss() {
    this.dispatchEvent(new CustomEvent("call-dismissed", { bubbles: true, detail: this.#call.id }));
    this.#gone();
  }

  #gone() {
    this.dispatchEvent(new CustomEvent("call-gone", { bubbles: true, detail: this.#call.id }));
  }

  #wantDetails(call) {
    const wanted = JSON.stringify([call.id, call.phone, call.match]);
    if (!this.#hasDetails || this.#detailsOf === wanted) return;
    this.#detailsOf = wanted;
    if (call.match) this.#fetchDetails(wanted);
    else setTimeout(() => this.#hasDetails && this.#detailsOf === wanted && this.#fetchDetails(wanted), DETAILS_WITHOUT_MATCH);
  }

  // Of a call that a colleague took there is nothing more to tell.
  get #hasDetails() {
    return this.isOpenCall || this.#call.answered_at !== null;
  }

  // Answered, and nobody knows who it is. What is typed there stays, whatever comes.
  #wantWho(call) {
    const isAsked = this.#parts.note && call.direction !== "internal" && TO_IDENTIFY.has(call.match?.outcome);
    const shown = this.querySelector("call-who");
    if (isAsked && this.#whoOf !== call.id) this.#fetchWho();
    else if (!isAsked && shown && (shown.hasAttribute("data-done") || !(shown.isTyped || shown.contains(document.activeElement)))) this.#dropWho();
  }

  #dropWho() {
    const hadFocus = this.#parts.asked.contains(document.activeElement);
    this.#parts.asked.replaceChildren();
    this.#tellSize();
    if (hadFocus) this.note?.focusField();
  }

  async #fetchWho() {
    const id = (this.#whoOf = this.#call.id);
    const response = await fetch(`/calls/${id}/who`).catch(() => null);
    if (response === null) this.#whoOf = null; // no answer: the next news of the call asks again
    if (!response?.ok || !this.isConnected) return;
    this.#parts.asked.replaceChildren(parsed(await response.text()));
    globalThis.htmx?.process(this.#parts.asked);
    this.#tellSize();
  }

  #leaveOut(why) {
    this.#dropWho();
    this.note?.add(why);
  }

  async #fetchDetails(wanted) {
    const response = await fetch(`/calls/${this.#call.id}/pop`).catch(() => null);
    const html = response?.ok ? await response.text() : null;
    if (html === null || this.#detailsOf !== wanted || !this.isConnected) return;
    const { details, who } = this.#parts;
    details.replaceChildren(parsed(html));
    who.hidden = true;
    globalThis.htmx?.process(details);
  }
}

function stateWords(call) {
  switch (call.state) {
    case "ringing":
      return ["phone-incoming", call.direction === "internal" ? t("Internal call") : t("Incoming call")];
    case "lift":
      return ["phone-call", t("Pick up your telephone")];
    case "dialling":
      return ["phone-outgoing", t("Dialling")];
    case "held":
      return ["phone-pause", t("On hold")];
    case "talking":
      return ["phone-call", { inbound: t("Incoming"), outbound: t("Outgoing"), internal: t("Internal") }[call.direction]];
    case "elsewhere":
      return ["phone-check", endWords(call)];
    case "caller_left":
      return ["phone-x", t("Did not wait")];
    default:
      return ["phone-off", t("Call ended")];
  }
}

function endWords(call) {
  if (call.state === "elsewhere") return t("Taken by {name}", { name: call.answered_by ?? t("a colleague") });
  if (call.state === "caller_left") return t("Did not wait");
  return { busy: t("Busy"), no_answer: t("No answer"), failed: t("The call failed"), cancelled: t("Cancelled") }[call.reason] ?? t("Call ended");
}

function handOverWords(transfer) {
  const how = { attended: t("after talking to you"), blonde: t("without waiting for your answer"), park: t("left in parking") };
  const by = t("Passed on by: {name}", { name: transfer.by ?? t("a colleague") });
  return [by, how[transfer.kind]].filter(Boolean).join(" · ");
}

// What stands under the state; an outgoing call often has no line of ours, and needs none.
function lineName(call) {
  if (call.line) return call.line;
  if (call.direction === "internal") return call.colleague_extension ? t("ext. {digits}", { digits: call.colleague_extension }) : "";
  return call.direction === "inbound" ? t("No line") : "";
}

const clockStart = (call) => (TALK.has(call.state) ? call.answered_at : call.ringing_since);
const sameMatch = (one, other) => JSON.stringify(one.match) === JSON.stringify(other.match);

function callerName(call) {
  if (call.direction === "internal") return call.colleague ?? t("Colleague");
  const parties = call.match?.parties ?? [];
  if (call.match?.outcome === "matched" && parties[0]) return [parties[0].name, parties[0].contact_name].filter(Boolean).join(", ");
  if (call.number_kind === "hidden") return t("Number withheld");
  return call.phone_text || t("Unknown number");
}

function whoLines(call) {
  const parties = call.match?.parties ?? [];
  if (call.match?.outcome === "matched" && parties[0]) {
    const [party] = parties;
    const person = party.contact_name ? el("p", { class: "pop-contact" }, party.contact_name) : null;
    return [el("p", { class: "pop-name" }, cardLink(party)), person, phoneLine(call)].filter(Boolean);
  }
  if (call.match?.outcome === "ambiguous") {
    return [el("p", { class: "pop-name" }, t("Shared number")), phoneLine(call)];
  }
  if (call.direction === "internal") {
    const team = call.colleague_team ? el("p", { class: "pop-soft" }, call.colleague_team) : null;
    return [el("p", { class: "pop-name" }, callerName(call)), team].filter(Boolean);
  }
  return [el("p", { class: "pop-name pop-number" }, callerName(call))];
}

const cardLink = (party) => el("a", { href: `/parties/${party.id}`, "data-card": true }, party.name);
const phoneLine = (call) => el("p", { class: "pop-phone" }, call.phone_text);

function lineDot(colour) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "line-swatch");
  svg.setAttribute("viewBox", "0 0 8 8");
  svg.setAttribute("aria-hidden", "true");
  const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  for (const [name, value] of Object.entries({ cx: 4, cy: 4, r: 4, fill: colour })) circle.setAttribute(name, value);
  svg.append(circle);
  return svg;
}

customElements.define("call-window", CallWindow);

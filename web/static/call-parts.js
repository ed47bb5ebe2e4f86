// What a call's window is made of, before anything is known of the call.

import { button, el } from "./dom.js";
import { t } from "./messages.js";

export function windowParts({ onTurn, onClose }) {
  const state = el("span", { class: "call-state-mark" });
  const line = el("span", { class: "call-line" });
  const caller = el("span", { class: "call-caller" });
  const clock = el("call-clock", { class: "call-timer" });
  const shrink = button("minus", t("Shrink or show (Alt+Q)"), onTurn);
  shrink.setAttribute("aria-expanded", "true");
  const close = button("x", t("Close"), onClose);
  const passed = el("p", { class: "call-passed pop-soft", hidden: true });
  const who = el("div", { class: "call-who" });
  const details = el("div", { class: "call-details" });
  const edit = el("call-edit");
  const task = el("div", { class: "call-new-task" });
  const asked = el("div", { class: "call-asked" });
  const end = el("p", { class: "call-end", hidden: true });
  const again = el("p", { class: "call-again", hidden: true });
  const controls = el("call-controls");
  const wrapUp = el("call-wrap-up");
  const body = el("div", { class: "call-body" }, passed, who, details, edit, task, asked, controls, end, again, wrapUp);
  const head = el("header", { class: "call-head" }, state, caller, line, clock, shrink, close);
  const news = el("p", { class: "visually-hidden", "aria-live": "assertive" });
  const section = el("section", { class: "call-window", role: "region", tabindex: -1 }, head, body, news);
  return { section, state, caller, line, clock, shrink, close, passed, who, details, edit, task, asked, controls, end, again, wrapUp, body, head, news, note: null };
}

// The frame's behaviour, and the elements that any page may hold. Heavy elements load when their tag is on the page.

import "./elements/app-drawer.js";
import "./elements/call-stack.js";
import "./elements/line-state.js";
import "./elements/theme-switch.js";
import "./elements/call-clock.js";
import { t } from "./messages.js";

const HEAVY = new Map([
  ["stage-board", "./elements/stage-board.js"],
  ["data-list", "./elements/data-list.js"],
  ["form-draft", "./elements/form-draft.js"],
  ["order-list", "./elements/order-list.js"],
  ["record-watch", "./elements/record-watch.js"],
  ["live-board", "./elements/live-board.js"],
  ["live-part", "./elements/live-part.js"],
  ["bell-choice", "./elements/bell-choice.js"],
  ["theme-choice", "./elements/theme-choice.js"],
  ["missed-list", "./elements/missed-list.js"],
  ["page-again", "./elements/page-again.js"],
]);
const main = document.querySelector("#main");

function loadHeavy() {
  for (const [tag, path] of HEAVY) {
    if (!main.querySelector(tag)) continue;
    import(path);
    HEAVY.delete(tag);
  }
}

function markModule() {
  for (const link of document.querySelectorAll("a[data-module]")) {
    const base = link.dataset.module;
    const isHere = location.pathname === base || location.pathname.startsWith(`${base}/`);
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function isInField(target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
}

function notice(text) {
  const line = document.createElement("p");
  line.className = "notice-line";
  line.textContent = text;
  document.querySelector("#notices").replaceChildren(line);
  setTimeout(() => line.remove(), 8000);
}

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  loadHeavy();
  const { sourceElement: source, target } = ctx;
  if (target?.id !== "main") return;
  markModule();
  // A visit, not a filter that is being typed: the reader starts at the new page's top.
  if (source?.matches("a") || ctx.request.method !== "GET") {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
});
document.addEventListener("htmx:after:history:update", markModule);
addEventListener("popstate", () => setTimeout(markModule));

document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.response.status === 503) notice(t("The database does not answer. Calls go on; try again in a few seconds."));
  else if (ctx.response.status >= 500) notice(t("The server could not do this. Try again, or tell your administrator."));
});
document.addEventListener("ringcard:notice", ({ detail }) => notice(detail));
document.addEventListener("htmx:error", () => notice(t("The server does not answer. Check the network.")));

// A form whose answer takes long says so, and is sent once.
function showBusy(form, isBusy) {
  form.querySelector("[data-busy-word]").textContent = isBusy ? form.dataset.busy : "";
  for (const button of form.querySelectorAll("button[type=submit]")) button.disabled = isBusy;
}
document.addEventListener("submit", ({ target: form }) => {
  if (form.matches("[data-busy]")) showBusy(form, true);
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-busy]")) showBusy(form, false); // come back by the history
});

document.addEventListener("keydown", (event) => {
  if (event.code !== "Slash" || event.altKey || event.ctrlKey || event.metaKey || isInField(event.target)) return;
  const search = document.querySelector("[data-global-search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

if (document.querySelector("dial-pad")) import("./elements/dial-pad.js");
import("./elements/call-bell.js"); // nothing waits for these: a ring is heard a moment later
import("./elements/notice-bell.js");
import("./elements/database-banner.js");
if (document.querySelector("agent-state")) import("./elements/agent-state.js");
import("./elements/task-reminders.js");
import("./elements/missed-badge.js");
loadHeavy();

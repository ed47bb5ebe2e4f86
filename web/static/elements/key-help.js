// F1 or "?": the keys of call windows and pages, as they are set now.

import { el } from "../dom.js";
import { keyName } from "../keys.js";
import { t } from "../messages.js";

const WINDOW = () => [
  [keyName("focus"), t("To the call window and back; inside it the letters below do without Alt")],
  [keyName("shrink"), t("Show or shrink the window")],
  [keyName("answer"), t("Answer")],
  [keyName("hang_up"), t("Decline or hang up")],
  [keyName("card"), t("Open the card")],
  [keyName("comment"), t("Comment")],
  [keyName("identify"), t("“Who is calling?”: search")],
  [keyName("task"), t("Task")],
  [keyName("lead"), t("Lead")],
  [keyName("hold"), t("Hold")],
  [keyName("mute"), t("Mute")],
  [keyName("transfer"), t("Transfer")],
  ["1…9", t("Choose a row, outside text fields")],
  ["↑ ↓ Enter", t("Choose in lists")],
  ["Ctrl+Enter", t("Save and go on")],
  ["Esc", t("Shrink; nothing is lost")],
];
const PAGE = () => [
  ["/", t("Search")],
  ["N", t("Create in a list")],
  ["J K", t("Move in a list")],
  [t("Space"), t("Tick a row")],
  [keyName("state"), t("My shift: state, pause")],
  ["F1 ?", t("These keys")],
];

export function showKeys() {
  const open = document.querySelector("dialog.key-help");
  if (open) return open.close();
  const close = el("button", { class: "btn btn-primary", type: "submit" }, t("Close"));
  const change = el("a", { class: "btn btn-outline-secondary", href: "/me#keys" }, t("Change the keys"));
  const dialog = el(
    "dialog",
    { class: "key-help", "aria-labelledby": "key-help-title" },
    el("h2", { id: "key-help-title" }, t("Keys")),
    el("div", { class: "key-columns" }, table(t("Call windows"), WINDOW()), table(t("Pages"), PAGE())),
    el("form", { method: "dialog", class: "form-actions" }, close, change),
  );
  change.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  globalThis.htmx?.process(dialog);
  dialog.showModal();
}

function table(title, rows) {
  const lines = rows.map(([key, does]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, does)));
  return el("section", {}, el("h3", {}, title), el("dl", { class: "key-list" }, ...lines));
}

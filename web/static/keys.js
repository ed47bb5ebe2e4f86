// Keys of call windows by their place on the keyboard, so that they work in the Russian and the Latin layout alike: as usual,
// or as this user set them. The server says which (crm/shortcuts.py).

const keys = JSON.parse(document.body.dataset.keys ?? "{}");
const actions = new Map(Object.entries(keys).map(([action, key]) => [key, action]));

// Where letters are typed. A radio button is none: a digit there chooses.
export function isTextField(target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=button])"));
}

// The action that a key press means, or null. `isInside`: the focus is in a call window; then letters do without Alt.
export function actionOf(event, isInside) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.isComposing) return null;
  if (event.altKey) return actions.get(`Alt+${event.code}`) ?? null;
  if (/^F\d+$/.test(event.code)) return actions.get(event.code) ?? null;
  return isInside && !isTextField(event.target) ? (actions.get(`Alt+${event.code}`) ?? null) : null;
}

// "Alt+C": as the key is called on its cap.
export function keyName(action) {
  return (keys[action] ?? "").replace("Key", "");
}

// The texts of scripts in the page's language. Write literals in double quotes: a test and the server look for them.

const { default: table } = await import(`./messages/${document.documentElement.lang}.js`);
const plural = new Intl.PluralRules(document.documentElement.lang);
// The order of plural forms in the catalogues, which is gettext's.
const FORMS = { ru: ["one", "few", "many"], en: ["one", "other"] };

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

export function t(text, values = {}) {
  return filled(table[text] ?? text, values);
}

export function tn(singular, otherwise, n, values = {}) {
  const forms = table[singular] ?? [singular, otherwise];
  const order = FORMS[document.documentElement.lang] ?? FORMS.en;
  const index = Math.max(0, order.indexOf(plural.select(n)));
  return filled(forms[Math.min(index, forms.length - 1)], { n, ...values });
}

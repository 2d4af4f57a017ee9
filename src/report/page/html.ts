/** Markup that is safe to send: every value in it was escaped. */
export interface Html {
  readonly text: string;
}

/** What a template takes: text is escaped, `undefined` and `false` are nothing. */
export type Value = Html | string | number | undefined | false | readonly Value[];

const trusted = new WeakSet<object>();

/** Markup from a template. Its values are escaped, for text and for attributes in double quotes. */
export function markup(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  const parts = strings.map((text, index) => `${text}${index < values.length ? render(values[index]) : ''}`);
  return safe(parts.join(''));
}

/** Markup of our own, taken as it is. */
export function safe(text: string): Html {
  const result = Object.freeze({ text });
  // An object of the same shape from elsewhere, such as JSON that somebody stored, is not markup.
  trusted.add(result);
  return result;
}

function render(value: Value): string {
  if (value === undefined || value === false) return '';
  if (typeof value === 'string' || typeof value === 'number') return escape(String(value));
  if (isList(value)) return value.map(render).join('');
  if (!trusted.has(value)) throw new TypeError('A template got an object that no template made.');
  return value.text;
}

function isList(value: Html | readonly Value[]): value is readonly Value[] {
  return Array.isArray(value);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Controls, halves of characters and marks of direction, which could change how other text looks, are shown as U+FFFD. */
const UNSEEN = /[\p{Cc}\p{Cs}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu;

function escape(text: string): string {
  return text
    .replace(UNSEEN, (character) => (character === '\n' || character === '\t' ? character : '\uFFFD'))
    .replace(/[&<>"']/g, (character) => ESCAPES[character] as string);
}

import type { Finding } from '../types.ts';
import { day, duration } from './format.ts';
import { markup, type Html } from './html.ts';

export function section(id: string, title: string, content: Html): Html {
  return markup`<section id="${id}" aria-labelledby="${id}-title">
    <h2 id="${id}-title">${title}</h2>
    ${content}
  </section>`;
}

export function period(from: number | undefined, to: number | undefined): string {
  if (from === undefined || to === undefined) return 'without a date';
  return day(from) === day(to) ? `on ${day(from)}` : `from ${day(from)} to ${day(to)}`;
}

/** `Up to 1 day`, `7 to 30 days`, `180 days to 1 year`. */
export function rangeOf(from: number, to: number): string {
  if (from === 0) return `Up to ${duration(to)}`;
  const [low, high] = [duration(from), duration(to)];
  const [amount = '', unit = ''] = low.split(' ');
  return high.includes(` ${unit.replace(/s$/, '')}`) ? `${amount} to ${high}` : `${low} to ${high}`;
}

export function numeric(name: string): { readonly name: string; readonly isNumber: true } {
  return { name, isNumber: true };
}

export function named(id: string): Html {
  return markup`<span class="id${id.length <= 20 && ' short'}">${id}</span>`;
}

export function word(level: Finding['level'], text: string): Html {
  return markup`<span class="word ${level}">${text}</span>`;
}

/** Labels of charts do not wrap. */
export function shortened(text: string): string {
  const characters = Array.from(text);
  return characters.length > 22 ? `${characters.slice(0, 21).join('')}…` : text;
}

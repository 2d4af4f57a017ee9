import type { Panel } from './group.ts';
import type { GroupResults } from './results.ts';
import { amount, digits } from './table.ts';

const WIDTH = 860;
const LABELS = 250;
const NUMBERS = 90;
const BAR = 14;
const GAP = 4;
const MARGIN = 16;
const COLOURS = ['#8a8f98', '#4c78a8', '#e4572e', '#f2a541', '#76b7b2', '#59a14f', '#b07aa1', '#9c755f'];

/**
 * A group of measurements as bars on a logarithmic scale, one block a column, the baseline at 1: medians, with the tenth to
 * ninetieth percentile as a line.
 */
export function plot({ title, note, environment, panels }: GroupResults): string {
  const parts: string[] = [];
  let y = MARGIN + 18;
  const text = (x: number, at: number, content: string, attributes = ''): void => {
    parts.push(`<text x="${round(x)}" y="${round(at)}" ${attributes}>${escape(content)}</text>`);
  };
  text(MARGIN, y, title, 'font-size="18" font-weight="600"');
  for (const line of wrap(note, 120)) text(MARGIN, (y += 18), line, 'class="quiet"');
  for (const panel of panels) {
    y += 34;
    text(MARGIN, y, panel.title, 'font-size="14" font-weight="600"');
    const scale = scaleOf(panel);
    const top = y + 8;
    y = top;
    const bars: string[] = [];
    for (const column of panel.columns) {
      y += 18;
      bars.push(`<text x="${MARGIN}" y="${y}" class="quiet">${escape(column.title)}</text>`);
      y += 6;
      for (const [index, result] of column.results.entries()) {
        const middle = y + BAR / 2;
        const colour = COLOURS[index % COLOURS.length] as string;
        const [from, to] = [scale.at(1), scale.at(result.ratio)];
        const isBase = result.name === panel.base;
        bars.push(
          `<text x="${LABELS - 8}" y="${middle + 4}" text-anchor="end">${escape(result.name)}</text>`,
          isBase
            ? `<circle cx="${round(from)}" cy="${middle}" r="4" fill="${colour}"/>`
            : `<rect x="${round(Math.min(from, to))}" y="${y}" width="${round(Math.max(1, Math.abs(to - from)))}" height="${BAR}" fill="${colour}"/>`,
          isBase
            ? ''
            : `<path d="M${round(scale.at(result.spread[0]))} ${middle}H${round(scale.at(result.spread[1]))}" class="spread"/>`,
          `<text x="${WIDTH - MARGIN}" y="${middle + 4}" text-anchor="end" class="number">${escape(isBase ? amount(result.median, panel.unit) : `× ${digits(result.ratio)}`)}</text>`,
        );
        y += BAR + GAP;
      }
    }
    for (const tick of scale.ticks) {
      const x = round(scale.at(tick));
      parts.push(`<path d="M${x} ${top + 6}V${y}" class="${tick === 1 ? 'one' : 'grid'}"/>`);
      text(Number(x), y + 13, String(tick), 'text-anchor="middle" class="quiet"');
    }
    parts.push(...bars);
    y += 16;
  }
  y += 26;
  const versions = Object.entries(environment.versions).map(([name, version]) => `${name} ${version}`);
  text(
    MARGIN,
    y,
    `${environment.date} · ${environment.machine} · medians of ${environment.rounds} rounds`,
    'class="quiet"',
  );
  for (const line of wrap(versions.join(', '), 120)) text(MARGIN, (y += 16), line, 'class="quiet"');
  const height = y + MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="12">
<style>text{fill:#1f2328}.quiet{fill:#656d76}.number{font-variant-numeric:tabular-nums}.spread{stroke:#1f2328;stroke-width:1.5}.grid{stroke:#d8dee4}.one{stroke:#1f2328}</style>
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
${parts.filter((part) => part !== '').join('\n')}
</svg>
`;
}

/** The position of a ratio in the plot. */
function scaleOf({ columns }: Panel): { at(ratio: number): number; ticks: number[] } {
  const all = columns.flatMap(({ results }) => results.flatMap(({ ratio, spread }) => [ratio, ...spread]));
  const positive = [...all, 1].filter((value) => value > 0 && Number.isFinite(value));
  const low = Math.floor(Math.log10(Math.min(...positive)) * 2) / 2;
  const high = Math.max(low + 0.5, Math.ceil(Math.log10(Math.max(...positive)) * 2) / 2);
  const left = LABELS;
  const right = WIDTH - MARGIN - NUMBERS;
  const at = (ratio: number): number =>
    left + ((Math.log10(Math.max(ratio, 10 ** low)) - low) / (high - low)) * (right - left);
  const ticks: number[] = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
    for (const digit of high - low > 3 ? [1] : [1, 2, 5]) {
      const tick = Number((digit * 10 ** power).toPrecision(1));
      if (Math.log10(tick) >= low - 1e-9 && Math.log10(tick) <= high + 1e-9) ticks.push(tick);
    }
  }
  return { at, ticks };
}

function wrap(words: string, length: number): string[] {
  const lines: string[] = [];
  for (const word of words.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < length) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function round(value: number): string {
  return String(Number(value.toFixed(1)));
}

/** What the demo writes to the terminal. Colour only where a terminal is; `NO_COLOR` is respected by Node itself. */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

const paint = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout });
const print = (text: string): void => void process.stdout.write(text);

export function title(text: string): void {
  print(`\n${paint(['bold', 'cyan'], `━━ ${text} ${'━'.repeat(Math.max(0, 92 - text.length))}`)}\n`);
}

export function note(text: string): void {
  print(`${paint('dim', `   ${text}`)}\n`);
}

export function row(label: string, value: string): void {
  print(`   ${paint('bold', label.padEnd(24))} ${value}\n`);
}

export function says(who: string, text: string): void {
  print(`\n${paint(['bold', 'yellow'], who.padStart(8))}  ${text}\n`);
}

/** The beginning of a streamed answer; the words follow with {@link word}. */
export function answers(who: string): void {
  print(`${paint(['bold', 'green'], who.padStart(8))}  `);
}

export function word(text: string): void {
  print(text);
}

export function event(text: string): void {
  print(`${paint('magenta', `          · ${text}`)}\n`);
}

/** A statement of the demo that was just checked. One that does not hold makes the demo fail. */
export function check(holds: boolean, text: string): void {
  print(`   ${holds ? paint('green', '✓') : paint(['bold', 'red'], '✗')} ${text}\n`);
  if (!holds) process.exitCode = 1;
}

/** A bar on a terminal, a line for each quarter elsewhere. */
export function progress(total: number): (done: number) => void {
  const width = 40;
  return (done) => {
    const filled = Math.round((done / total) * width);
    const bar = `   ${paint('green', '█'.repeat(filled))}${'░'.repeat(width - filled)} ${done}/${total}`;
    if (process.stdout.isTTY) print(`\r${bar}${done === total ? '\n' : ''}`);
    else if (done === total || done % Math.ceil(total / 4) === 0) print(`${bar}\n`);
  };
}

/** One line of at most `length` characters. */
export function short(text: string, length: number): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

export function bytes(count: number): string {
  return count < 10_000 ? `${count} B` : `${(count / 1_000).toFixed(1)} kB`;
}
